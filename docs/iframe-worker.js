// Browsers start no Worker from a file. Where the manual is read from files, a hidden
// frame stands in for the one Worker that there is, the search's. By the name of this
// file the theme knows that it need not fetch another from a server.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(script) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.postMessage = (data) =>
        this.dispatchEvent(new MessageEvent("message", { data }));
      const loaded = new Promise((resolve, reject) => {
        const element = inside.document.createElement("script");
        element.onload = resolve;
        element.onerror = reject;
        element.src = script;
        inside.document.head.append(element);
      });
      this.postMessage = (data) =>
        loaded.then(() =>
          inside.dispatchEvent(new inside.MessageEvent("message", { data })),
        );
    }
  };
