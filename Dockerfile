# One image per deployable: docker build --build-arg SERVICE=orders --tag souk/orders .
# SERVICE is a folder of services/, sandboxes/ or tools/ with a main.ts, or `tools` for the command line.
ARG NODE_IMAGE=node:26-bookworm-slim

FROM ${NODE_IMAGE} AS modules
WORKDIR /app
COPY package.json package-lock.json ./
# Install scripts are of no use to what runs in production, and a base image brings its own Node.
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=cache,target=/root/.npm \
  npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' -o -name '*.md' \) -delete

FROM ${NODE_IMAGE} AS source
ARG SERVICE
WORKDIR /source
COPY . .
RUN node tools/image/pick.ts "${SERVICE}" /app

FROM ${NODE_IMAGE} AS run
ARG SERVICE
ARG VERSION=development
LABEL org.opencontainers.image.title="souk/${SERVICE}" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
  UV_THREADPOOL_SIZE=4 \
  NODE_OPTIONS=--max-old-space-size-percentage=70
WORKDIR /app
COPY --from=modules /app/node_modules ./node_modules
COPY --from=source /app ./
USER 10001:10001
# No shell and no npm stand between the kubelet's signals and the process.
ENTRYPOINT ["node", "main.ts"]

# For live update: files that can be replaced, and a process that starts again when they are.
FROM run AS dev
USER 0
RUN chown -R 10001:10001 /app
USER 10001:10001
ENV NODE_ENV=development
ENTRYPOINT ["node", "--watch", "main.ts"]

FROM run
