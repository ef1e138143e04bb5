"""`sdk.template`: what to run."""

from typing import Any, Literal

from flow_server_sdk import methods, shapes
from flow_server_sdk.calls.paging import page_of
from flow_server_sdk.calls.surface import R, Strings, Surface
from flow_server_sdk.payloads import forms
from flow_server_sdk.payloads.templates import template_spec
from flow_server_sdk.scripts import Call
from flow_wire import templates_pb2
from flow_wire.codec.templates import decode_template, encode_template_spec

MountDicts = list[dict[str, str]]
OnDisconnect = dict[str, int] | Literal["keep"]
Ports = list[int | str]


class TemplateCalls(Surface[R]):
    """Create, update, get, list and delete templates.

    Beyond the original, all optional, None for the default:

    - `resources`: {"cpus": 1.5, "memory_bytes": …, "pids": …, "shm_bytes": …, "gpus": …} where
      gpus is {"count": 2} or {"device_ids": ["0", "3"]}, either with "capabilities": ["gpu"]
    - `env`: {"NAME": "value"}
    - `mounts`: [{"data_name": "scans", "target": "/scans"}], site data, read-only
    - `user`: the container's user; `network`: "none" (the default) or "bridge"
    - `start_deadline_s` until every party must be connected (60), `prepare_deadline_s` until
      every party must be ready to launch (3600), `stop_grace_s` from SIGTERM to SIGKILL (10),
      `run_timeout_s` from the launch until a workload is stopped and has failed (no limit)
    - `on_disconnect`: {"stop_after_s": 600}, what a site does with a running workload when it
      has lost the server; "keep" (the default) lets it run on
    - `retry`: {"max_retries": 3, "backoff_s": 10, "on_nonzero_exit": False}, how often a run that
      failed through the infrastructure (and with `on_nonzero_exit` through the workload) is
      started again, after `backoff_s`, doubled with each further retry; by default never
    - `coordinator`: {"command": ["python", "server.py"], "ports": [8080]}, one container more that
      the parties reach as `coordinator`, on these ports; with "image_url", "workdir" (both the
      template's where left out), "env" and "resources" of its own. "party" names the site that
      runs it, else it is an agent that was started with --coordinator. "ends": "after_parties"
      (the default: it is stopped once all parties have ended) or "by_itself"; then "decides":
      True makes its exit code alone the run's outcome, and its end that of the parties
    - `mesh`: [29500, "32768-60999"], ports under which each party is reached as party-<id>
    - `connect_timeout_s` until the coordinator must listen, counted at each party (60)
    - `framework`: "iflearner" appends that framework's arguments to the commands
    """

    def create(  # noqa: PLR0917 - the original's order, which callers rely on
        self,
        name: str,
        image_url: str,
        workdir: str,
        command: Strings,
        remark: str | None = None,
        hyper_parameter: Strings | None = None,
        *,
        resources: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        mounts: MountDicts | None = None,
        user: str | None = None,
        network: str | None = None,
        start_deadline_s: int | None = None,
        prepare_deadline_s: int | None = None,
        stop_grace_s: int | None = None,
        run_timeout_s: int | None = None,
        on_disconnect: OnDisconnect | None = None,
        retry: dict[str, Any] | None = None,
        coordinator: dict[str, Any] | None = None,
        mesh: Ports | None = None,
        connect_timeout_s: int | None = None,
        framework: str | None = None,
    ) -> R:
        """Store a template; data.template_id is its id, 30 hex digits."""
        return self._send(
            Call(
                method=methods.CREATE_TEMPLATE,
                request=lambda: templates_pb2.CreateTemplateRequest(
                    spec=encode_template_spec(
                        template_spec(
                            name=name,
                            image_url=image_url,
                            workdir=workdir,
                            command=command,
                            remark=remark,
                            hyper_parameter=hyper_parameter,
                            resources=resources,
                            env=env,
                            mounts=mounts,
                            user=user,
                            network=network,
                            start_deadline_s=start_deadline_s,
                            prepare_deadline_s=prepare_deadline_s,
                            stop_grace_s=stop_grace_s,
                            run_timeout_s=run_timeout_s,
                            on_disconnect=on_disconnect,
                            retry=retry,
                            coordinator=coordinator,
                            mesh=mesh,
                            connect_timeout_s=connect_timeout_s,
                            framework=framework,
                        )
                    )
                ),
                data=lambda reply: {"template_id": reply.template_id},
            )
        )

    def update(  # noqa: PLR0917 - the original's order, which callers rely on
        self,
        template_id: str,
        name: str,
        image_url: str,
        workdir: str,
        command: Strings,
        remark: str | None = None,
        hyper_parameter: Strings | None = None,
        *,
        resources: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        mounts: MountDicts | None = None,
        user: str | None = None,
        network: str | None = None,
        start_deadline_s: int | None = None,
        prepare_deadline_s: int | None = None,
        stop_grace_s: int | None = None,
        run_timeout_s: int | None = None,
        on_disconnect: OnDisconnect | None = None,
        retry: dict[str, Any] | None = None,
        coordinator: dict[str, Any] | None = None,
        mesh: Ports | None = None,
        connect_timeout_s: int | None = None,
        framework: str | None = None,
    ) -> R:
        """Replace a template whole: what is left out goes back to its default."""
        return self._send(
            Call(
                method=methods.UPDATE_TEMPLATE,
                request=lambda: templates_pb2.UpdateTemplateRequest(
                    template_id=forms.text("template_id", template_id),
                    spec=encode_template_spec(
                        template_spec(
                            name=name,
                            image_url=image_url,
                            workdir=workdir,
                            command=command,
                            remark=remark,
                            hyper_parameter=hyper_parameter,
                            resources=resources,
                            env=env,
                            mounts=mounts,
                            user=user,
                            network=network,
                            start_deadline_s=start_deadline_s,
                            prepare_deadline_s=prepare_deadline_s,
                            stop_grace_s=stop_grace_s,
                            run_timeout_s=run_timeout_s,
                            on_disconnect=on_disconnect,
                            retry=retry,
                            coordinator=coordinator,
                            mesh=mesh,
                            connect_timeout_s=connect_timeout_s,
                            framework=framework,
                        )
                    ),
                ),
            )
        )

    def get(self, template_id: str) -> R:
        """Return one template as `data`."""
        return self._send(
            Call(
                method=methods.GET_TEMPLATE,
                request=lambda: templates_pb2.GetTemplateRequest(
                    template_id=forms.text("template_id", template_id)
                ),
                data=lambda reply: shapes.template(decode_template(reply.template)),
            )
        )

    def list(self, keyword: str = "", page: int = 1, limit: int = 10) -> R:
        """Return data.templates, oldest first, and data.template_count of all pages.

        `keyword` is looked for in the names, literally and without regard to case.
        """
        return self._send(
            Call(
                method=methods.LIST_TEMPLATES,
                request=lambda: templates_pb2.ListTemplatesRequest(
                    keyword=forms.text("keyword", keyword), **page_of(page, limit)
                ),
                data=lambda reply: {
                    "templates": [shapes.template(decode_template(t)) for t in reply.templates],
                    "template_count": reply.template_count,
                },
            )
        )

    def delete(self, template_id: str) -> R:
        """Forget a template; runs that were started from it keep their snapshot."""
        return self._send(
            Call(
                method=methods.DELETE_TEMPLATE,
                request=lambda: templates_pb2.DeleteTemplateRequest(
                    template_id=forms.text("template_id", template_id)
                ),
            )
        )
