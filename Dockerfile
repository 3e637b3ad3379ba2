# The server of this repository with the project of examples/secure-agent. A project of its own has a Dockerfile of its own.
# Both bases are pinned by tag and digest, and are changed together with it. This prints the digest that a tag has now:
#   docker buildx imagetools inspect node:24.21.0-trixie-slim
ARG NODE=node:24.21.0-trixie-slim@sha256:8ec5d7557396cfe32d21c3f9c13072355ceab22b584578ca4bb28af31120cffe
ARG BASE=gcr.io/distroless/cc-debian13:nonroot@sha256:54df941ed0d06a1bd95ef5e0ce391fd8d9f94b64782dc9a60062727849ee3f97

FROM ${NODE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc tsconfig.base.json ./
COPY packages packages
COPY examples examples
RUN npm ci --ignore-scripts --no-audit --no-fund
RUN npm run build && npm run build --workspace examples/secure-agent
# What is published is what is served: the packed server has no test, no source and no source map.
RUN npm pack --ignore-scripts --workspace packages/merlon
RUN npm ci --ignore-scripts --omit=dev --omit=optional --no-audit --no-fund
RUN mkdir -p app/data && cp -R node_modules examples/secure-agent/package.json \
  examples/secure-agent/merlon.config.json examples/secure-agent/src app/
# The packages of the workspace are links in there. The packed server takes the place of its own, with the packages that npm
# keeps beside it because another version of them is elsewhere.
RUN find app/node_modules -type l -delete && mkdir app/node_modules/merlon \
  && tar -xzf merlon-*.tgz -C app/node_modules/merlon --strip-components=1 \
  && if [ -d packages/merlon/node_modules ]; then cp -R packages/merlon/node_modules app/node_modules/merlon/; fi \
  && if [ -d examples/secure-agent/node_modules ]; then cp -R examples/secure-agent/node_modules/. app/node_modules/; fi \
  && find app/node_modules -type l -delete

# The libraries that Node.js needs, and the certificates of public authorities: no shell, no package manager.
FROM ${BASE}
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build --chown=65532:65532 --chmod=0700 /build/app/data /data
WORKDIR /app
COPY --from=build /build/app/package.json /build/app/merlon.config.json ./
COPY --from=build /build/app/node_modules node_modules
COPY --from=build /build/app/src src
ENV NODE_ENV=production MERLON_STORE_FOLDER=/data
USER 65532:65532
VOLUME /data
EXPOSE 4000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["/usr/local/bin/node", "/app/node_modules/merlon/bin/merlon.cjs", "health", "--project", "/app"]
ENTRYPOINT ["/usr/local/bin/node", "/app/node_modules/merlon/bin/merlon.cjs"]
CMD ["start", "--project", "/app"]
