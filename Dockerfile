# The job as an image: `make image`, tried for real by `make image-test`. Targets: score (the default) and train.
# `make image` adds the labels of version and revision: some versions of buildah keep LABEL with an old ARG in their cache.
# Nothing here names a mirror: where a machine needs one, pip's configuration and a CA bundle come in as build secrets.
ARG PYTHON_VERSION=3.11

# To build from exactly this base for ever, name its digest behind the tag (python:3.11-slim-bookworm@sha256:...);
# `docker buildx imagetools inspect` shows it. Renew it with every security update of Debian: a digest gets none.
FROM docker.io/library/python:${PYTHON_VERSION}-slim-bookworm AS build
# LightGBM needs OpenMP's runtime. Versions are not pinned, as Debian keeps only the newest of a package.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && python -m venv /build \
    && python -m venv --without-pip /opt/retention
ENV PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

# Hash-pinned sets of requirements/; a boosted model needs --build-arg REQUIREMENTS="storage boosted".
FROM build AS libraries
ARG REQUIREMENTS="storage"
COPY deploy/install.sh deploy/rootfs.py requirements/ /requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    sh /requirements/install.sh ${REQUIREMENTS}

FROM build AS training-libraries
COPY deploy/install.sh deploy/rootfs.py requirements/ /requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    sh /requirements/install.sh training

# Our code as a tree to lay over the libraries: changing it makes a new layer of 2 MB.
FROM build AS source
COPY requirements/build.txt /requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    /build/bin/pip install --quiet --require-hashes --only-binary :all: --requirement /requirements/build.txt
WORKDIR /source
COPY pyproject.toml README.md LICENSE oneclick_retention.py ./
COPY schemas/ schemas/
COPY model_artifacts/ model_artifacts/
COPY job/ job/
RUN /build/bin/pip wheel --quiet --no-index --no-build-isolation --no-deps --wheel-dir /wheels . \
    && /build/bin/pip --python /opt/retention/bin/python install --quiet --no-index --no-deps \
        --prefix /tree/opt/retention /wheels/*.whl \
    && python -m compileall -q --invalidation-mode unchecked-hash -s /tree -p / /tree \
    && chmod -R a-w,a+rX /tree/opt

# What the last stages share. The user is a number, because Kubernetes cannot tell that a name is not root.
FROM scratch AS runtime
ENV PATH=/opt/retention/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 10001:10001
ENTRYPOINT ["retention"]
CMD ["--help"]

FROM runtime AS train
COPY --from=training-libraries /rootfs /
COPY --from=training-libraries /opt/retention /opt/retention
COPY --from=source /tree /
LABEL org.opencontainers.image.title="oneclick-retention with training" org.opencontainers.image.licenses="MIT"

FROM runtime AS score
COPY --from=libraries /rootfs /
COPY --from=libraries /opt/retention /opt/retention
COPY --from=source /tree /
LABEL org.opencontainers.image.title="oneclick-retention" org.opencontainers.image.licenses="MIT"
