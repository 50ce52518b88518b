# One image for each program: docker build --target server (analyzer, agent,
# loadgen). All are built by one stage, so that the second target costs nothing.
# Nothing here needs BuildKit. docs/DEPLOY.md says how they are run.
ARG GO_IMAGE=golang:1.26

FROM ${GO_IMAGE} AS build
ENV CGO_ENABLED=0
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# What `git describe` says of the tree: it is no part of the context (make images
# tells it).
ARG VERSION=dev
RUN go build -trimpath -buildvcs=false -ldflags "-s -w -X sluice/internal/cli.version=${VERSION}" -o /out/ \
        ./server ./analyzer ./agent ./loadgen \
 && mkdir /out/state \
 && rm -rf "$(go env GOCACHE)"
# So that what the build leaves behind can be found and removed:
# docker image prune --filter label=org.opencontainers.image.title=Sluice
ARG REVISION=
LABEL org.opencontainers.image.title="Sluice" org.opencontainers.image.revision="${REVISION}"

# What all images have in common: an empty root file system, a user without any
# right or name, and a folder that is this user's.
FROM scratch AS base
ARG VERSION=dev
ARG REVISION=
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 65532:65532
COPY --from=build --chown=65532:65532 /out/state /var/lib/sluice
WORKDIR /var/lib/sluice

FROM base AS server
COPY --from=build /out/server /server
ENV DEAD_LETTER_DIR=/var/lib/sluice/dead-letters
VOLUME /var/lib/sluice
EXPOSE 9000 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["/server", "health"]
ENTRYPOINT ["/server"]

FROM base AS analyzer
COPY --from=build /out/analyzer /analyzer
EXPOSE 9001 8001
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["/analyzer", "health"]
ENTRYPOINT ["/analyzer"]

FROM base AS agent
COPY --from=build /out/agent /agent
ENV AGENT_STATE=/var/lib/sluice/state AGENT_HTTP=:8010
VOLUME /var/lib/sluice
EXPOSE 8010
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["/agent", "health"]
ENTRYPOINT ["/agent"]

FROM base AS loadgen
COPY --from=build /out/loadgen /loadgen
ENTRYPOINT ["/loadgen"]

# What `docker build .` makes without a target.
FROM server
