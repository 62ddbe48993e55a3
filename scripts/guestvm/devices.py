# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's arguments for the devices that a guest pages to."""
import os

SLAB_MIB = 64          # the device's size must be a multiple (spec/device.md)
PEERS = ("nvme", "virtio-blk")


def shared_ram(mib):
    """Memory that another process can map: without it a backend has nothing to page."""
    return [f"-object memory-backend-memfd,id=ram0,size={mib}M,share=on", "-machine memory-backend=ram0"]


def rmnic(index, size_mib, serial, socket=None):
    """Of several, the guest tells them apart by their serials. socket: of a backend; None: embedded."""
    store = f"chardev=c{index}" if socket else f"iothread=io{index}"
    return ([f"-chardev socket,id=c{index},path={socket}"] if socket else [f"-object iothread,id=io{index}"]) + [
        f"-device pcie-root-port,id=rp{index},chassis={index + 1}",
        f"-device rmnic,id=rm{index},bus=rp{index},size={size_mib}M,serial={serial},{store}"]


def peer(device, size_mib, scratch):
    """Peers are backed by a file in memory, so that no disk is measured."""
    file = os.path.join(scratch, device)
    with open(file, "wb") as out:
        out.truncate(size_mib << 20)
    drive = f"-drive file={file},if=none,id=d-{device},format=raw"
    front = {"nvme": "nvme,serial=peer", "virtio-blk": "virtio-blk-pci,iothread=io-virtio"}[device]
    extra = ["-object iothread,id=io-virtio"] if device == "virtio-blk" else []
    return extra + [drive, f"-device {front},drive=d-{device}"]


def needs_zeroed_pages(qemu_args):
    """RULES E2: a backend writes to the guest's memory behind TCG's back."""
    return any("rmnic," in arg and "chardev=" in arg for arg in qemu_args)
