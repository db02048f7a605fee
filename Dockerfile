FROM python:3.12-slim-bookworm AS build
RUN python -m venv /opt/touchline
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pipeline pipeline
COPY schemas schemas
COPY jobs jobs
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/touchline/bin/pip install --disable-pip-version-check -c constraints.txt .

FROM python:3.12-slim-bookworm
ENV PATH=/opt/touchline/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/touchline touchline
COPY --from=build /opt/touchline /opt/touchline
# By number, so that an orchestrator can see that it is not root.
USER 10001
WORKDIR /var/lib/touchline
ENTRYPOINT ["touchline"]
