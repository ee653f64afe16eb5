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

FROM python:3.11-slim-bookworm
ENV PATH=/opt/pitline/bin:$PATH PYTHONUNBUFFERED=1
# A named volume mounted here for the first time takes the owner of the folder.
RUN useradd --system --uid 10001 --home-dir /var/lib/pitline --shell /usr/sbin/nologin pitline \
 && install --directory --owner=pitline --group=pitline /var/lib/pitline /var/lib/pitline/ems /var/lib/pitline/paper
COPY --from=build /opt/pitline /opt/pitline
USER pitline
WORKDIR /var/lib/pitline
CMD ["pitline", "--help"]
