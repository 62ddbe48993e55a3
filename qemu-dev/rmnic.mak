# SPDX-License-Identifier: BSD-3-Clause
#
# The devices of the QEMU that rmnic is tested in: --with-devices-x86_64=rmnic. With
# --without-default-devices nothing is built that is not named here or selected by it.

CONFIG_I440FX=y
CONFIG_Q35=y

# The device itself.
CONFIG_RMNIC=y

# Slots to put it in: PCIe ports (hot plug, FLR) and conventional bridges.
CONFIG_PCIE_PORT=y
CONFIG_IOH3420=y
CONFIG_XIO3130=y
CONFIG_I82801B11=y

# Addresses that are not guest-physical.
CONFIG_VTD=y

# What tests put beside it, and the peers that it is measured against.
CONFIG_NVME_PCI=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_SERIAL=y
CONFIG_VIRTIO_RNG=y
CONFIG_VIRTIO_BALLOON=y
CONFIG_VIRTIO_MEM=y
CONFIG_VIRTIO_PMEM=y
CONFIG_VHOST_USER_BLK=y
CONFIG_NVDIMM=y
CONFIG_PCI_TESTDEV=y
CONFIG_EDU=y
CONFIG_ISA_DEBUG=y
CONFIG_PVPANIC_PCI=y
