/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/cpu_latency.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define DEVICE "/dev/cpu_dma_latency"

int rmnic_cpu_latency_ask(uint64_t us, struct rmnic_error *err)
{
	int32_t wish = (int32_t)us;
	int fd;

	if (us >= RMNIC_CPU_LATENCY_ANY)
		return 0;
	fd = open(DEVICE, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return rmnic_error_set(err, "cpu-dma-latency-us: " DEVICE ": %s (only root may, unless its mode "
				       "says otherwise; or leave the setting out)", strerror(errno));
	/* The wish holds for as long as the descriptor is open: it is left to the process's end. */
	if (write(fd, &wish, sizeof(wish)) != sizeof(wish)) {
		rmnic_error_set(err, "cpu-dma-latency-us: " DEVICE ": %s", strerror(errno));
		close(fd);
		return -1;
	}
	rmnic_log_info("CPUs are asked to wake up within %d us", wish);
	return 0;
}
