# File operations alone: no base, no process, no network.
FROM scratch AS source
COPY odd /source/

FROM scratch
ARG WHO=7:9
COPY odd /odd/
COPY --chown=1000:1001 odd/tree /owned/tree
COPY --chown=$WHO --chmod=0640 odd/plain odd/setuid /modes/
COPY ["naïve – ünïcode.txt", "/names/"]
COPY odd/many/*7 /some/
ADD odd/linked/ /added/
COPY --from=source /source/linked /again/linked
COPY --from=source --chown=65534 /source/sticky /again/sticky
WORKDIR /made/by/workdir
ENV ONE=1 TWO="two words"
LABEL z=last a=first "m"="naïve"
EXPOSE 80 53/udp
VOLUME /data /odd
CMD ["one", "two"]
