# A base with Python >= 3.11; the interop suite builds on one made by debootstrap.
ARG BASE=python:3.13-slim
FROM ${BASE}
COPY . /src
RUN python3 -m venv /opt/trustgate \
 && /opt/trustgate/bin/python -m pip install --quiet --no-cache-dir /src \
 && rm -rf /src \
 && mkdir -p /var/lib/trustgate && chown 10001:10001 /var/lib/trustgate
ENV PATH=/opt/trustgate/bin:$PATH TRUSTGATE_DATA=/var/lib/trustgate TRUSTGATE_HOST=0.0.0.0 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
VOLUME /var/lib/trustgate
EXPOSE 5080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["trustgate", "doctor", "--quick", "--server", "http://127.0.0.1:5080"]
ENTRYPOINT ["trustgate"]
CMD ["serve"]
