/* SPDX-License-Identifier: BSD-3-Clause */
/* common/version.h - the version of the host's programs. */
#ifndef RMNIC_COMMON_VERSION_H
#define RMNIC_COMMON_VERSION_H

#define RMNIC_BACKEND_VERSION "1.0.0"

#endif /* RMNIC_COMMON_VERSION_H */
