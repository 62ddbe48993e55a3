# SPDX-License-Identifier: BSD-3-Clause
"""The QEMU command line of the guest: which binary, which accelerator, which image."""
import os
import shlex
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Debian's packages seabios and qemu-system-data: QEMU's source package carries no firmware.
FIRMWARE = ("/usr/share/seabios", "/usr/share/qemu")
BUILDS = ("build/qemu-7.2/build/qemu-system-x86_64", "build/qemu-10.0/build/qemu-system-x86_64")


class Problem(Exception):
    """Something the user can put right; the text says what and how."""


def path(*parts):
    return os.path.join(ROOT, *parts)


def qemu_binary():
    """QEMU= wins; else the first of this project's builds that is there."""
    chosen = os.environ.get("QEMU")
    if chosen:
        if not os.access(chosen, os.X_OK):
            raise Problem(f"QEMU={chosen}: no such program")
        return os.path.abspath(chosen)
    for build in BUILDS:
        if os.access(path(build), os.X_OK):
            return path(build)
    raise Problem(f"QEMU is not built ({BUILDS[0]} is missing): run 'make qemu', or set QEMU=path")


def accelerator(wanted, qemu):
    """kvm, tcg, or auto: what scripts/accel found out by trying."""
    if wanted in ("kvm", "tcg"):
        return wanted
    if wanted != "auto":
        raise Problem(f"accelerator '{wanted}': choose kvm, tcg or auto")
    run = subprocess.run([path("scripts/accel"), "--name"], env=dict(os.environ, QEMU=qemu),
                         stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode:
        raise Problem("scripts/accel could not find an accelerator")
    return run.stdout.strip()


def image(series):
    """Brings the initramfs of a kernel series up to date; gives kernel and image."""
    if subprocess.run([path("scripts/guest-image"), series], check=False).returncode:
        raise Problem(f"the guest image of {series} could not be made")
    return path("build/kernels", series, "vmlinuz"), path("build/guest", series, "initramfs.cpio.gz")


def add_overlays(base, overlays, dest):
    """The kernel unpacks archives that follow each other, so an overlay is simply appended."""
    with open(dest, "wb") as out:
        with open(base, "rb") as first:
            out.write(first.read())
        for overlay in overlays:
            if not os.path.isdir(overlay):
                raise Problem(f"--overlay {overlay}: no such directory")
            # Archives must start at a multiple of four bytes.
            out.write(b"\0" * (-out.tell() % 4))
            out.flush()
            subprocess.run("find . -mindepth 1 -print0 | sort -z | cpio --quiet -0 -o -H newc -R 0:0",
                           shell=True, cwd=overlay, stdout=out, check=True)
            out.seek(0, os.SEEK_END)
    return dest


def kernel_words(job, nonce, env, append):
    words = ["console=ttyS0", "quiet", "panic=-1", "oops=panic", f"guest.job={job}",
             f"guest.nonce={nonce}"]
    for item in env:
        name, _, value = item.partition("=")
        if not name or "." in name:
            raise Problem(f"--env {item}: expected NAME=VALUE, without a dot in the name")
        words.append(f'"{name}={value}"' if " " in value else item)
    return " ".join(words + append)


def command(qemu, accel, kernel, initrd, words, options):
    """The machine of RULES E1: never a maxcpus of 1, where TCG would leave out barriers."""
    args = [qemu, "-name", "rmnic-guest", "-machine", "q35", "-accel", accel,
            "-cpu", options.cpu, "-smp", f"{options.smp},maxcpus={max(2, options.smp)}",
            "-m", str(options.ram), "-nodefaults", "-no-user-config", "-display", "none"]
    if not options.reboot:
        args.append("-no-reboot")
    for directory in FIRMWARE:
        args += ["-L", directory]
    args += ["-kernel", kernel, "-initrd", initrd, "-append", words]
    for extra in options.qemu_arg:
        args += shlex.split(extra)
    return args
