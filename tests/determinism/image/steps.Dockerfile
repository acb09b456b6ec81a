# Processes of every kind over a Debian base, side by side and on top of each other.
FROM base AS observed
COPY steps /steps/
RUN --network=none ["/bin/sh", "/steps/observe.sh", "first"]

FROM base AS compiled
COPY package /opt/package/
COPY steps /steps/
RUN --network=none ["/bin/sh", "/steps/compile.sh"]

FROM base AS made
COPY steps /steps/
RUN ["/bin/sh", "/steps/make.sh"]

FROM base
COPY odd /odd/
COPY steps /steps/
RUN ["/bin/sh", "/steps/change.sh"]
RUN --network=none /bin/sh /steps/mend.sh && echo "$(date) done" >> /var/log/build.log
COPY --from=made /made /made
COPY --from=compiled /opt /opt
COPY --from=observed /log /log
ENV GREETING="hello world" LC_ALL=C.UTF-8
WORKDIR /home/worker
USER 1234:5678
RUN --network=none id > id.txt; umask > umask.txt; pwd > pwd.txt; env > env.txt; date > date.txt; mkdir -p a/b/c
USER root
RUN --network=none ["/bin/sh", "/steps/observe.sh", "last"]
CMD ["cat", "/log/last"]
