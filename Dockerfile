# Verbatim without PostgreSQL: set DATABASE_URL, as docker-compose.yml does.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# Builds the dependencies with placeholders for our code. This layer takes most of the time, and is
# built again only when the dependencies change.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
RUN mkdir -p src benches tests/it tests/faults \
    && touch src/lib.rs \
    && targets=$(awk -F '"' '/^\[\[bench/ { bench = 1 } /^path = / { print $2 } \
           /^name = / && bench { print "benches/" $2 ".rs"; bench = 0 }' Cargo.toml) \
    && for file in build.rs src/main.rs $targets; do echo 'fn main() {}' >"$file"; done \
    && cargo build --release --locked
COPY . .
# Cargo compares file times, and the placeholders are newer than the copied files.
RUN touch build.rs src/lib.rs src/main.rs && cargo build --release --locked

FROM debian:bookworm-slim
# Certificates for a Postgres over TLS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/verbatim --shell /usr/sbin/nologin verbatim \
    && install -d -o verbatim -g verbatim -m 0700 /var/lib/verbatim \
    # Credentials that docker-compose.yml creates for Prometheus and Grafana.
    && install -d -o verbatim -g verbatim -m 0755 /run/verbatim/prometheus /run/verbatim/grafana
COPY --from=build /src/target/release/verbatim /usr/local/bin/verbatim
COPY LICENSE-MIT LICENSE-APACHE /usr/share/doc/verbatim/

USER verbatim
ENV VERBATIM_LISTEN=0.0.0.0:8080 \
    VERBATIM_DATA_DIR=/var/lib/verbatim
# The inbox: answered deliveries that are not yet in Postgres. It must outlive the container.
VOLUME /var/lib/verbatim
EXPOSE 8080
# Fails only while no delivery can be made durable.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s CMD ["verbatim", "healthcheck"]
ENTRYPOINT ["verbatim"]
CMD ["serve"]
