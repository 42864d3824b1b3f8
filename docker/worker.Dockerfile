# The worker: `docker run IMAGE render ...` renders one scene, and Beam's runners start
# the same image as their SDK container. docs/docker.md tells how to build and run it.
ARG BASE=python:3.11-slim-bookworm@sha256:528257d48c1da0dcecc2e725d1ae34498d60c965f1241e39cd6a85a8859bdf84
# The version is apache-beam's in docker/requirements.txt.
ARG BEAM=apache/beam_python3.11_sdk:2.77.0

FROM ${BEAM} AS beam

# The packages without the project: a change of the code leaves this layer, which is
# nearly all of the image, as it is.
FROM ${BASE} AS packages
RUN apt-get update \
    && apt-get install -y --no-install-recommends binutils \
    && python3.11 -m venv /opt/venv
WORKDIR /src
COPY docker/requirements.txt ./
# The file lists every dependency, so that pip has none to look for. Some packages are
# built from source, which pip checks by its hash, and would build with whatever
# setuptools is newest: those of the file come first, and build them.
# Headers and the packages' own tests are of no use to a worker, nor is what PyBullet
# has for debuggers: 0.7 GB.
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    sed -nE '/^(packaging|setuptools|wheel)==/,/[^\\]$/p' requirements.txt > build.txt \
    && for file in build.txt requirements.txt; do \
      /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        --progress-bar off --no-build-isolation --no-deps --require-hashes \
        -r "$file" || exit; \
    done \
    && cd /opt/venv/lib/python3.11/site-packages \
    && rm -rf tensorflow/include \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && strip --strip-debug pybullet*.so

FROM packages AS project
COPY setup.cfg pyproject.toml README.md LICENSE ./
COPY dyso dyso
COPY worker worker
RUN /opt/venv/bin/pip wheel --disable-pip-version-check --no-build-isolation --no-deps \
      --no-index --wheel-dir /wheel .

FROM ${BASE}
LABEL org.opencontainers.image.title="DySO worker" \
      org.opencontainers.image.licenses="Apache-2.0 AND GPL-3.0-or-later"
# What bpy loads from the system; tini, so that signals end what does not handle them.
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
      libgl1 libsm6 libxi6 libxkbcommon0 libxrender1 libxfixes3 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home dyso
COPY --from=packages /opt/venv /opt/venv
COPY --from=beam /opt/apache/beam /opt/apache/beam
# Beam's boot would else make an environment of its own, without what is in this one.
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/home/dyso \
    USER=dyso \
    XDG_CACHE_HOME=/home/dyso/.cache \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
WORKDIR /home/dyso
COPY docker/entrypoint /usr/local/bin/dyso-entrypoint
COPY beam_pipeline.py ./
COPY specs specs
RUN --mount=type=bind,from=project,source=/wheel,target=/wheel \
    pip install --no-cache-dir --disable-pip-version-check --no-index --no-deps \
      /wheel/*.whl
# The starter assets, so that no worker has to make them. Any user may run the image
# (docker run --user), so any may read them and write beside them.
RUN python -c "from dyso.assets import starter; starter.build()" \
    && chmod -R a+rX .cache \
    && chmod 1777 . .cache .cache/dyso
USER 1000:1000
# On one CPU: builders have shared memory for one worker only.
RUN python -c "import os; \
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); \
    os.execlp('dyso', 'dyso', 'doctor')"
ENTRYPOINT ["tini", "-s", "--", "dyso-entrypoint"]
