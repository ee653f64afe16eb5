# The last stage is the image of three programs; `--target fix` is that of the FIX adapter, `--target ordermatch` a venue
# for it to try.
# One image, three programs: `python -m ems_service`, `python -m paper_broker` and `pitline`.
# Both stages have the same base, so that the virtual environment finds its interpreter again.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/pitline
# The dependencies are a layer of their own: a change of the source does not install them again.
COPY pyproject.toml constraints.txt ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
      > requirements.txt \
 && /opt/pitline/bin/pip install --quiet --constraint constraints.txt --requirement requirements.txt
COPY . .
RUN /opt/pitline/bin/pip install --quiet --no-deps . \
 && /opt/pitline/bin/python -m compileall -q /opt/pitline/lib

# QuickFIX is C++ and builds for minutes, so it is a stage of its own that only its version changes.
FROM python:3.11-slim-bookworm AS quickfix
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends g++ python3-dev >/dev/null
COPY constraints.txt ./
RUN python -m venv /opt/building \
 && /opt/building/bin/pip wheel --quiet --use-pep517 --no-deps --wheel-dir /wheels "$(grep '^quickfix==' constraints.txt)"

FROM build AS build-fix
COPY --from=quickfix /wheels /wheels
RUN /opt/pitline/bin/pip install --quiet --no-deps /wheels/*.whl

# QuickFIX's own example of a venue, as Debian ships it built: FIX 4.2, a price-time book. Its input must stay open.
FROM python:3.11-slim-bookworm AS ordermatch
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends libquickfix17 >/dev/null \
 && cd /tmp && apt-get download -qq libquickfix-doc && dpkg -x libquickfix-doc*.deb doc \
 && zcat doc/usr/share/doc/libquickfix-doc/examples/ordermatch/.libs/ordermatch.gz > /usr/local/bin/ordermatch \
 && chmod +x /usr/local/bin/ordermatch && rm -rf doc *.deb /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /var/lib/ordermatch --create-home ordermatch
COPY broker_adapters/fix/ordermatch.cfg /etc/ordermatch.cfg
USER ordermatch
WORKDIR /var/lib/ordermatch
CMD ["ordermatch", "/etc/ordermatch.cfg"]

FROM python:3.11-slim-bookworm AS bare
ENV PATH=/opt/pitline/bin:$PATH PYTHONUNBUFFERED=1
# A named volume mounted here for the first time takes the owner of the folder.
RUN useradd --system --uid 10001 --home-dir /var/lib/pitline --shell /usr/sbin/nologin pitline \
 && install --directory --owner=pitline --group=pitline /var/lib/pitline /var/lib/pitline/ems /var/lib/pitline/paper \
      /var/lib/pitline/fix
USER pitline
WORKDIR /var/lib/pitline

FROM bare AS fix
COPY --from=build-fix /opt/pitline /opt/pitline
CMD ["python", "-m", "broker_adapters.fix"]

FROM bare
COPY --from=build /opt/pitline /opt/pitline
CMD ["pitline", "--help"]
