"""Pure: what the engine's refusal of a call means for the researcher.

The status code decides wherever the engine gives one of its own. Where it answers with a
bare 400 or 500 only its text is left; every text that is looked for here is pinned by a
test against a real engine.
"""

from flow_contract.reasons import Reason
from party_agent.runtime.docker_engine.errors import EngineError
from party_agent.runtime.port import RuntimeRefused, RuntimeUnavailable, Workload

EXIT_NOT_FOUND = 127
EXIT_NOT_EXECUTABLE = 126

_HTTP_NOT_FOUND = 404
_HTTP_SERVER_ERROR = 500


def command_refused(command: str, exit_code: int) -> RuntimeRefused:
    """Return the refusal of a command that the image can't execute."""
    what = "can't execute" if exit_code == EXIT_NOT_EXECUTABLE else "does not hold"
    return RuntimeRefused(
        Reason.COMMAND_NOT_FOUND,
        f"The image {what} {command!r}; check the template's command and workdir.",
        exit_code=exit_code,
    )


def vanished(container: str) -> RuntimeRefused:
    """Return the refusal to launch what is not there."""
    return RuntimeRefused(
        Reason.WORKLOAD_VANISHED,
        f"There is no container {container}: it was not prepared here, "
        "or somebody at the site removed it.",
    )


def image_missing(image_url: str) -> RuntimeRefused:
    """Return the refusal of an image that nobody has."""
    return RuntimeRefused(
        Reason.IMAGE_NOT_FOUND,
        f"The image {image_url!r} is neither at the site nor in its registry; "
        "check the name and tag, or ask the site to load it.",
    )


def of_pull(image_url: str, error: EngineError) -> RuntimeRefused:
    """Say why an image that the site lacks could not be pulled."""
    if error.status == _HTTP_NOT_FOUND or "manifest unknown" in error.text:
        return image_missing(image_url)
    if "invalid reference format" in error.text:
        return RuntimeRefused(
            Reason.IMAGE_NOT_FOUND,
            f"{image_url!r} can't be the name of an image ({error.text}); "
            "correct the template's image_url.",
        )
    return RuntimeRefused(
        Reason.IMAGE_PULL_FAILED,
        f"The site does not have the image {image_url!r} and its registry did not give it "
        f"({error.text}); try again, or ask the site to load it.",
    )


def of_create(workload: Workload, error: EngineError) -> RuntimeRefused | RuntimeUnavailable:
    """Say why the engine did not create the container."""
    if error.status == _HTTP_NOT_FOUND:
        return image_missing(workload.image_url)
    if "No command specified" in error.text:
        return RuntimeRefused(
            Reason.COMMAND_NOT_FOUND,
            "Neither the template nor the image names a command; set the template's command.",
        )
    if "Range of CPUs is" in error.text or "Minimum memory limit" in error.text:
        return RuntimeRefused(
            Reason.RESOURCES_UNAVAILABLE,
            f"The site can't give these resources ({error.text}); change the template's resources.",
        )
    return _other("create", error)


def of_start(workload: Workload, error: EngineError) -> RuntimeRefused | RuntimeUnavailable:
    """Say why the engine did not start the container."""
    text = error.text
    if "could not select device driver" in text or (workload.gpu_ids and "running hook" in text):
        wanted = ", ".join(workload.gpu_ids)
        return RuntimeRefused(
            Reason.GPU_UNAVAILABLE,
            f"The site's engine can't give GPU {wanted} ({text}); "
            "ask the site, or run without GPUs.",
        )
    # What the engine can't find of its own must not be blamed on the image.
    if 'exec: "' in text and "docker-init" not in text:
        command = (workload.command or ("its own command",))[0]
        if "executable file not found" in text or "no such file or directory" in text:
            return command_refused(command, EXIT_NOT_FOUND)
        if "permission denied" in text:
            return command_refused(command, EXIT_NOT_EXECUTABLE)
    return _other("start", error)


def of_network(error: EngineError) -> RuntimeRefused | RuntimeUnavailable:
    """Say why the engine did not make the network in which a workload has neighbours."""
    return _other("make a network for", error)


def _other(verb: str, error: EngineError) -> RuntimeRefused | RuntimeUnavailable:
    if error.status > _HTTP_SERVER_ERROR:
        return RuntimeUnavailable(f"the engine can't {verb} now: {error.text}")
    return RuntimeRefused(
        Reason.RUNTIME_ERROR, f"The site's engine did not {verb} the container: {error.text}"
    )
