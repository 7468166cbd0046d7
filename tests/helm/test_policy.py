"""Pods pass Pod Security `restricted` and a little more, whatever the values file."""

import unittest

from chart import CI, name_of, objects, report, set_at, values

SAFE_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def pods(items: list[dict]) -> list[dict]:
    found = [item["spec"]["template"]["spec"] for item in items if item["kind"] == "StatefulSet"]
    return found + [item["spec"] for item in items if item["kind"] == "Pod"]


def faults(pod: dict) -> list[str]:
    """What `restricted` forbids (the Pod Security Standards, documented), and what we ask beyond it."""
    found = [f"{key} is set" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    if pod.get("automountServiceAccountToken") is not False:
        found.append("a token is mounted")
    above = pod.get("securityContext", {})
    if above.get("runAsNonRoot") is not True:
        found.append("may run as root")
    if above.get("runAsUser") == 0:
        found.append("runs as root")
    if above.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        found.append("no seccomp profile")
    for volume in pod.get("volumes", []):
        if not (set(volume) - {"name"}) <= SAFE_VOLUMES:
            found.append(f"volume {volume['name']} is of a forbidden kind")
    for one in pod.get("initContainers", []) + pod["containers"]:
        found += [f"{one['name']}: {fault}" for fault in container_faults(one)]
    return found


def container_faults(one: dict) -> list[str]:
    context = one.get("securityContext", {})
    found = []
    if context.get("allowPrivilegeEscalation") is not False:
        found.append("may gain privileges")
    if context.get("privileged"):
        found.append("privileged")
    if context.get("readOnlyRootFilesystem") is not True:
        found.append("may write its root file system")
    capabilities = context.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or not set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}:
        found.append("keeps capabilities")
    if any(port.get("hostPort") for port in one.get("ports", [])):
        found.append("takes a port of the node")
    return found


class Policy(unittest.TestCase):
    def test_every_pod_is_restricted(self):
        checked = 0
        for path in CI:
            for pod in pods(objects(values(name_of(path)))):
                self.assertEqual(faults(pod), [], path.name)
                checked += 1
        self.assertEqual(checked, 2 * len(CI))
        report["Pod Security restricted"] = f"{checked} pods"

    def test_the_watch_sees_what_it_watches_for(self):
        planted = [
            ("securityContext.readOnlyRootFilesystem", False),
            ("securityContext.allowPrivilegeEscalation", True),
            ("securityContext.privileged", True),
            ("securityContext.capabilities.add", ["SYS_ADMIN"]),
            ("securityContext.capabilities.drop", []),
            ("podSecurityContext.runAsNonRoot", False),
            ("podSecurityContext.runAsUser", 0),
            ("podSecurityContext.seccompProfile.type", "Unconfined"),
            ("extraVolumes", [{"name": "host", "hostPath": {"path": "/"}}]),
        ]
        for path, value in planted:
            with self.subTest(path):
                self.assertNotEqual(faults(pods(objects(set_at(values(), path, value)))[0]), [])

    def test_nothing_is_allowed_to_ask_the_api_server(self):
        for path in CI:
            kinds = {item["kind"] for item in objects(values(name_of(path)))}
            self.assertFalse(kinds & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Secret"}, path.name)

    def test_our_containers_have_a_bound_of_memory(self):
        for path in CI:
            for pod in pods(objects(values(name_of(path)))):
                ours = [one for one in pod["containers"] if one["name"] in ("trunkline", "probe")]
                self.assertTrue(all(one["resources"]["limits"]["memory"] for one in ours), path.name)
