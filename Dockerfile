# A Debian base with Python >= 3.11; the interop suite builds on one made by debootstrap.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ARG UV_VERSION=0.13.9
# the certificates that the base trusts: companies put their own there
ENV UV_SYSTEM_CERTS=true UV_PROJECT_ENVIRONMENT=/opt/trustgate UV_LINK_MODE=copy UV_NO_CACHE=true \
    UV_COMPILE_BYTECODE=true
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --quiet --no-cache-dir "uv==${UV_VERSION}"
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
# without pip: nothing is in the image but what uv.lock pins
RUN python3 -m venv --without-pip /opt/trustgate \
 && /opt/uv/bin/uv sync --quiet --frozen --no-default-groups --no-install-project
COPY trustgate trustgate
COPY scanners scanners
RUN /opt/uv/bin/uv sync --quiet --frozen --no-default-groups --no-editable

FROM ${BASE}
# policies are fetched by git and ssh, and ssh wants to know its user by name; gpg verifies charts
RUN command -v git >/dev/null && command -v ssh >/dev/null && command -v gpg >/dev/null \
 || { apt-get update && apt-get install --yes --no-install-recommends ca-certificates git gpg openssh-client \
      && rm -rf /var/lib/apt/lists/*; }
RUN echo 'trustgate:x:10001:10001::/tmp:/usr/sbin/nologin' >>/etc/passwd \
 && echo 'trustgate:x:10001:' >>/etc/group \
 && mkdir -p /var/lib/trustgate && chown 10001:10001 /var/lib/trustgate
COPY --from=build /opt/trustgate /opt/trustgate
ENV PATH=/opt/trustgate/bin:$PATH TRUSTGATE_DATA=/var/lib/trustgate TRUSTGATE_HOST=0.0.0.0 \
    HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /var/lib/trustgate
EXPOSE 5080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
  CMD ["trustgate", "doctor", "--quick"]
ENTRYPOINT ["trustgate"]
CMD ["serve"]
