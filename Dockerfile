# Verbatim without a PostgreSQL of its own: name one with DATABASE_URL, as docker-compose.yml does.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
# Certificates, for a Postgres that is reached over TLS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/verbatim --shell /usr/sbin/nologin verbatim \
    && install -d -o verbatim -g verbatim -m 0700 /var/lib/verbatim
COPY --from=build /src/target/release/verbatim /usr/local/bin/verbatim
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/verbatim/

USER verbatim
ENV VERBATIM_LISTEN=0.0.0.0:8080 \
    VERBATIM_DATA_DIR=/var/lib/verbatim
# The inbox: deliveries that were answered and are not yet in Postgres. It must outlive the container.
VOLUME /var/lib/verbatim
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["verbatim", "healthcheck"]
ENTRYPOINT ["verbatim"]
CMD ["serve"]
