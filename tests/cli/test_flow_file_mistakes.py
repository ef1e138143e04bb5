"""A flow's YAML file: every mistake on its own line, and all at once."""

import pytest

TASK = """
task:
  name: three
  template: known
  parties: {a: scans}
"""


def test_all_mistakes_are_told_at_once_in_the_order_of_lines(mistakes):
    assert mistakes(
        """\
        template:
          name: di
          image_url:
          image: busybox
          command: train.py
          env: {FEDFLOW_X: 1}
          resources:
            cpus: many
            memory_bytes: 1.5
            gpus: {count: 1, count: 2}
          mounts:
            - {data_name: scans, target: data}
            - target: /x
          retry: {max_retrys: 3}
          network: host
        task:
          name: fine
          parties:
            a: scans
            "b b":
            a: x
        start:
          epochs: -1
          epoch: 3
        """
    ) == [
        "2: template.name: Please set the name parameter length between 3 and 50",
        "3: template.image_url: give a text, not nothing",
        "4: template.image: is not known; did you mean image_url?",
        "5: template.command: give a list of texts such as [python, train.py], not 'train.py'",
        "6: template.env: names that begin with FEDFLOW_ are set by Fedflow; rename FEDFLOW_X",
        "8: template.resources.cpus: give a number, not 'many'",
        "9: template.resources.memory_bytes: give bytes, such as 2147483648 or 2 GiB, not '1.5'",
        "10: template.resources.gpus.count: is given twice, first on line 10",
        "12: template.mounts[0]: mounts.target: 'data' must be an absolute path without '..'",
        "13: template.mounts[1].data_name: is missing; add it",
        "14: template.retry.max_retrys: is not known; did you mean max_retries?",
        "15: template.network: give one of none, bridge, not 'host'",
        "20: task.parties[b b]: 'b b' is not a party id (1 to 63 letters, digits, '_', '.' or '-')",
        "21: task.parties[a]: is given twice, first on line 19",
        "23: start.epochs: -1 must be between 0 and 1000000000",
        "24: start.epoch: is not known; did you mean epochs?",
    ]


def test_all_mistakes_of_a_coordinator_are_told_too(mistakes):
    assert mistakes(
        """\
        template:
          name: digits
          image_url: digits:2
          coordinator:
            image: server:1
            command: python server.py
            env: {FEDFLOW_X: 1}
            resources:
              memory_bytes: 1
            ports: [8080, 70000]
            party: hospital a
            ends: later
          mesh: [29500, 30000-29000, 1.5]
          connect_timeout_s: 0
          framework: flower
        """,
        needs=["template"],
    ) == [
        "5: template.coordinator.image: is not known; did you mean image_url?",
        (
            "6: template.coordinator.command: give a list of texts such as [python, train.py], "
            "not 'python server.py'"
        ),
        (
            "7: template.coordinator.env: names that begin with FEDFLOW_ are set by Fedflow; "
            "rename FEDFLOW_X"
        ),
        (
            "9: template.coordinator.resources.memory_bytes: 1 must be between 6291456 and "
            "9223372036854775807"
        ),
        "10: template.coordinator.ports[1]: 70000 must be between 1 and 65535",
        (
            "11: template.coordinator.party: 'hospital a' is no party id; name the party that "
            "is to run it, or leave it out for an agent that was started with --coordinator"
        ),
        "12: template.coordinator.ends: give one of after_parties, by_itself, not 'later'",
        (
            "13: template.mesh[2]: give a port such as 29500, or a range such as 32768-60999, "
            "not '1.5'"
        ),
        "14: template.connect_timeout_s: 0 must be between 1 and 604800",
        "15: template.framework: give one of none, iflearner, not 'flower'",
    ]


def test_what_only_makes_no_sense_together_is_told_with_its_line(mistakes):
    template = "template:\n  name: digits\n  image_url: digits:2\n"
    assert mistakes(template + "  mesh: [1, 30000-29000]\n", needs=["template"]) == [
        "4: template.mesh[1]: 30000-29000 holds no port; give the smaller first"
    ]
    assert mistakes(template + "  coordinator: {command: [a]}\n", needs=["template"]) == [
        "4: template.coordinator.ports: is missing; add it"
    ]
    (alone,) = mistakes(template + "  framework: iflearner\n", needs=["template"])
    assert alone.startswith("1: template.coordinator: ")
    (decides,) = mistakes(
        template + "  coordinator:\n    ports: [80]\n    decides: true\n", needs=["template"]
    )
    assert decides.startswith("6: template.coordinator.decides: one that is stopped after")


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        ("", "1: is empty; write a template, a task or both"),
        ("# nothing\n", "1: is empty; write a template, a task or both"),
        ("- a\n", "1: give a mapping with template, task, start, not a list"),
        ("just text\n", "1: give a mapping with template, task, start, not 'just text'"),
        (
            "task: three\n",
            "1: task: give a mapping with name, template, remark, parties, not 'three'",
        ),
        ("start: {epochs: 1}\n", "1: task: is missing; add it"),
        ("task:\n\tname: x\n", "2: a tab can't indent YAML; use spaces"),
        ("task:\n  name: x\n  name: y: z\n", "3: is not YAML: mapping values are not allowed here"),
        ("task: [1\n", "2: is not YAML: while parsing a flow sequence"),
        ("task: 'x\n", "2: is not YAML: while scanning a quoted scalar"),
        ("a: 1\n---\nb: 2\n", "2: a second document begins here; keep one to a file"),
        ("task: *nowhere\n", "1: is not YAML: found undefined alias"),
        ("x: \x01\n", "1: holds a control character that YAML forbids; remove it"),
        (b"a: 1\nb: \xff\n", "2: is not UTF-8 text; save it as such"),
        ("[" * 5000, "1: is nested too deeply"),
        (b"#" * (1024 * 1024 + 1), "1: is larger than 1048576 bytes; is it the right file?"),
        ("? [a, b]\n: 1\n", "1: a list or a mapping can't be a name"),
        (TASK + "extra: 1\n", "6: extra: is not known; known are template, task, start"),
        (TASK + "  <<: {a: 1}\n", "6: task.<<: merge keys are not read; write the fields out"),
        (TASK.replace("  name: three\n", ""), "2: task.name: is missing; add it"),
        (TASK.replace("{a: scans}", "[]"), "5: task.parties: name one party at least"),
        (TASK.replace("{a: scans}", "[a, b, a]"), "5: task.parties[2]: 'a' is named twice"),
        (TASK.replace("{a: scans}", "{a: [1]}"), "5: task.parties[a]: give a text, not a list"),
        (TASK.replace("  template: known\n", ""), "2: task.template: is missing; name one"),
        (TASK + "start: {epochs: '3'}\n", "6: start.epochs: give a whole number, not '3'"),
        (TASK + "start: {enable_smpc: 1}\n", "6: start.enable_smpc: give true or false, not '1'"),
        ("&a task: *a\n", "1: task: give a mapping with name, template, remark, parties"),
    ],
)
def test_a_mistake_is_told_with_its_line(mistakes, content, mistake):
    found = mistakes(content)
    assert any(line.startswith(mistake) for line in found), found


def test_a_misspelt_field_does_not_hide_the_mistakes_of_another(mistakes):
    assert mistakes("template: {name: x, names: y, image_url: z}", needs=()) == [
        "1: template.name: Please set the name parameter length between 3 and 50",
        "1: template.names: is not known; did you mean name?",
    ]


def test_a_mistake_never_steers_the_terminal(mistakes):
    found = "\n".join(mistakes('task: {name: "a\\e[2J", template: x, parties: {"\\e]0;": 1}}'))
    assert "\x1b" not in found


def test_a_template_of_the_file_and_a_name_are_too_much(mistakes):
    assert mistakes("template: {name: abc, image_url: x}\n" + TASK.lstrip()) == [
        "4: task.template: this file has a template of its own; leave one of them out"
    ]
