# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/fleetbeat && /opt/fleetbeat/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY shared shared
COPY workers workers
COPY scheduler scheduler
COPY fleetbeat fleetbeat
RUN /opt/fleetbeat/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
COPY --from=build /opt/fleetbeat /opt/fleetbeat
RUN useradd --system --uid 10001 --create-home fleetbeat && install -d -o fleetbeat -g fleetbeat /data
ENV PATH=/opt/fleetbeat/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FLEETBEAT_DATA_DIR=/data
USER fleetbeat
WORKDIR /data
VOLUME /data
CMD ["fleetbeat", "--help"]
