# SPDX-License-Identifier: BSL-1.0
"""The conan recipes are Python, and say the version of CMakeLists.txt. Runs without conan."""
import ast
import pathlib
import sys

recipes, version = pathlib.Path(sys.argv[1]), sys.argv[2]
for name in ("conanfile.py", "test_package/conanfile.py"):
    module = ast.parse((recipes / name).read_text(), name)
    classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
    assert len(classes) == 1, f"{name}: {len(classes)} classes"
    if name == "conanfile.py":
        assert (recipes / name).read_text().count('"*.ipp"') == 2, "it leaves files out"
        said = {target.id: ast.literal_eval(node.value)
                for node in classes[0].body if isinstance(node, ast.Assign)
                for target in node.targets}
        assert said["version"] == version, f"{name}: {said['version']}, CMakeLists.txt: {version}"
