# Tongshu 通数 in containers. Two images come out of it (docker-compose.yml builds both):
#   exchange   every process of ours; the command chooses which: python -m services.catalog, python -m infra.bootstrap broker
#   connect    Kafka's own image with the Connect plugins of infra/embedded/jars.lock
ARG PYTHON_VERSION=3.13.14
ARG CONNECT_VERSION=4.3.1
ARG RUST_VERSION=1.95.0
ARG NODE_VERSION=24.19.0

FROM python:${PYTHON_VERSION}-slim-trixie AS environment
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_NO_CACHE=1
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.9
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-default-groups --compile-bytecode

# What the embedded exchange brings its jars with, so that one lock serves both and every file is checked by its digest.
FROM environment AS plugins
RUN uv sync --locked --no-default-groups --group jars
COPY infra/__init__.py infra/
COPY infra/embedded infra/embedded
RUN .venv/bin/python -m infra.embedded.plugins /plugins

FROM rust:${RUST_VERSION}-slim-trixie AS native
WORKDIR /native
COPY services/Cargo.toml services/Cargo.lock ./
COPY services/core/native core/native
COPY services/sync/projection/native sync/projection/native
COPY services/sync/relay/native sync/relay/native
COPY services/audit/native audit/native
RUN cargo build --release --locked \
 && for name in projection sealing; do mv target/release/libtongshu_$name.so tongshu_$name.abi3.so; done

FROM node:${NODE_VERSION}-trixie-slim AS pages
WORKDIR /web
COPY services/console/web .
RUN npm ci --no-audit --no-fund && npm run build

FROM apache/kafka:${CONNECT_VERSION} AS connect
COPY --from=plugins /plugins /opt/kafka/plugins

FROM python:${PYTHON_VERSION}-slim-trixie AS exchange
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tongshu \
 && install -d -o tongshu -g tongshu /var/lib/tongshu/audit
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=environment /app/.venv .venv
COPY --from=native /native/tongshu_projection.abi3.so /native/tongshu_sealing.abi3.so ./
COPY --from=pages /web/dist /usr/share/tongshu/console
COPY infra/__init__.py infra/bootstrap.py infra/
COPY schemas schemas
COPY services services
RUN python -m compileall -q infra services
USER 10001:10001
# SIGTERM, which the processes answer by draining, is what an engine sends; the command is given by whoever starts one
STOPSIGNAL SIGTERM
