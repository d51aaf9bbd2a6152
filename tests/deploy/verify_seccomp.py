#!/usr/bin/env python3
"""Runs a command under deploy/seccomp.json, as a container runtime would.

    tests/deploy/verify_seccomp.py COMMAND [ARGUMENT]...

The filter is built by libseccomp, the library that runc and crun use. Ends as the command ends; 1 when the
profile itself is wrong, 77 when libseccomp is missing and nothing was checked.
"""
import ctypes
import ctypes.util
import json
import os
import platform
import sys

PROFILE = os.path.join(os.path.dirname(__file__), "../../deploy/seccomp.json")
ALLOW = 0x7FFF0000
ERRNO = 0x00050000
UNKNOWN_SYSCALL = -1
COMPARISONS = {"SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def action(rule, default_errno):
    if rule["action"] == "SCMP_ACT_ALLOW":
        return ALLOW
    return ERRNO | rule.get("errnoRet", default_errno)


def load(profile, library):
    default_errno = profile["defaultErrnoRet"]
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Comparison)]
    context = library.seccomp_init(ERRNO | default_errno)
    for rule in profile["syscalls"]:
        arguments = [Comparison(arg["index"], COMPARISONS[arg["op"]], arg["value"], arg.get("valueTwo", 0))
                     for arg in rule.get("args", [])]
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            # Some names exist only on another architecture, or are newer than the library.
            if number == UNKNOWN_SYSCALL:
                print(f"verify_seccomp: {name} is unknown to this libseccomp", file=sys.stderr)
                continue
            array = (Comparison * len(arguments))(*arguments)
            code = library.seccomp_rule_add_array(context, action(rule, default_errno), number, len(arguments), array)
            if code != 0:
                sys.exit(f"verify_seccomp: no rule for {name}: error {-code}")
    if library.seccomp_load(ctypes.c_void_p(context)) != 0:
        sys.exit("verify_seccomp: the kernel refuses the filter")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    if platform.machine() not in ("x86_64", "aarch64"):
        sys.exit("verify_seccomp: the profile is for x86_64 and aarch64")
    with open(PROFILE, encoding="utf-8") as file:
        profile = json.load(file)
    try:
        library = ctypes.CDLL(ctypes.util.find_library("seccomp") or "libseccomp.so.2")
    except OSError as error:
        print(f"verify_seccomp: {error} (Debian and Ubuntu: apt-get install libseccomp2)", file=sys.stderr)
        sys.exit(77)
    load(profile, library)
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
