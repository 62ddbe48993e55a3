/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/device_internal.h - what the files of a device share.
 *
 * device.c      control thread: requests, the end
 * device_make.c control thread: creation
 * device_work.c worker: executing requests
 * device_poll.c worker: the poll round
 * device_why.c  worker: what is wrong with the servers
 * device_news.c what a worker would log
 * device_events.c what happened to its pages
 * linger.c      servers that were away when it ended
 * device_look.c looking in
 * host.c        what the engine asks of its host
 */
#ifndef RMNIC_DAEMON_DEVICE_INTERNAL_H
#define RMNIC_DAEMON_DEVICE_INTERNAL_H

#include <stdatomic.h>

#include "daemon/backend.h"
#include "daemon/device.h"
#include "daemon/spill.h"
#include "engine/device.h"
#include "engine/le.h"
#include "engine/state_block.h"
#include "engine/store_remote.h"
#include "user/memory.h"

enum rmnic_vdev_request_kind {
	RMNIC_VDEV_NONE,
	RMNIC_VDEV_ATTACH, /* meet the servers, reserve */
	RMNIC_VDEV_MEM_ADD,
	RMNIC_VDEV_MEM_DEL,
	RMNIC_VDEV_KICK,
	RMNIC_VDEV_CALL,
	RMNIC_VDEV_ENABLE,
	RMNIC_VDEV_RESET,
	RMNIC_VDEV_STOP,
	RMNIC_VDEV_START,
	RMNIC_VDEV_CAPACITY,
	RMNIC_VDEV_STATS,
	RMNIC_VDEV_DETACH,
	RMNIC_VDEV_RELEASE, /* slabs go back to the servers */
	RMNIC_VDEV_CLOSE,   /* off the worker */
	RMNIC_VDEV_KINDS
};

/* What the control thread asks of the worker, and the answer; one at a time. */
struct rmnic_vdev_request {
	struct rmnic_msg msg; /* first: there and back */
	enum rmnic_vdev_request_kind kind;
	union {
		struct rmnic_guest_region region; /* MEM_ADD; MEM_DEL: address and size, then what to unmap */
		int fd;                           /* KICK: new, then old */
		struct {
			uint16_t first, count;
			int fds[RMNIC_USER_MAX_FDS]; /* new, then old */
		} call;
		struct rmnic_user_enable enable;
		uint32_t drain_ms;
		uint64_t pages;
	};
	/* The worker's, while it is pending. */
	uint64_t deadline; /* ns */
	unsigned int step;
	struct rmnic_vdev_reply reply;
};

/* A notice of the worker: posted again only after the control thread has run it. */
struct rmnic_vdev_notice {
	struct rmnic_msg msg;
	atomic_bool posted;
};

#define RMNIC_NEWS_REFUSAL 0x1u
#define RMNIC_NEWS_PEERS   0x2u
#define RMNIC_NEWS_EMPTY   0x4u
#define RMNIC_NEWS_EVENTS  0x8u
#define RMNIC_NEWS_RELEASED 0x10u

/* What is to be logged. A note belongs to the worker while its bit in `what` is clear. */
struct rmnic_vdev_news {
	struct rmnic_vdev_notice notice;
	atomic_uint what;
	struct {
		enum rmnic_refusal why;
		uint16_t qid, cid;
		uint64_t value;
	} refusal;
	struct {
		uint8_t server[16];
		uint64_t slabs;
	} empty;
};

#define RMNIC_VDEV_EVENTS 32
#define RMNIC_VDEV_LOST   16

/* Events of one kind about one server. */
struct rmnic_vdev_event {
	struct rmnic_remote_event first;
	uint64_t times, pages;
};

struct rmnic_vdev_events {
	unsigned int n, nlost;
	struct rmnic_vdev_event list[RMNIC_VDEV_EVENTS];
	uint64_t lost[RMNIC_VDEV_LOST]; /* rpns; those beyond are in the list */
	uint64_t left_out;
};

struct rmnic_vdev {
	/* Set when it is made. */
	struct rmnic_backend *backend;
	struct rmnic_worker *worker;
	unsigned int slot;
	struct rmnic_user_device conf;
	struct rmnic_user_state state;
	struct rmnic_state_block block;
	struct rmnic_store *store;
	struct rmnic_rmp_client *client;
	struct rmnic_udp_socket *socket;
	struct rmnic_spill *spill; /* NULL: there is no spill_dir */
	char label[80]; /* for logs */

	/* The control thread's. */
	const struct rmnic_vdev_ops *ops;
	void *arg;
	int pid;
	uint32_t replicas; /* by a command (STATE-31); 0: as all devices */
	bool busy;        /* a request of the owner's is under way */
	bool opened;      /* on the worker: needs a CLOSE */
	bool detached;    /* no guest memory is mapped, and none will be */
	bool detaching;   /* the owner waits for that */
	bool ending, release;
	bool released;
	bool owing;       /* ... but for servers that did not answer */
	bool lingering;   /* its owner has forgotten it: see linger.c */
	uint64_t ended_at; /* ns: since when */
	bool fresh;
	bool recover;     /* its state block is new, the servers have its pages */
	enum rmnic_peer_state said[RMNIC_MAX_SERVERS]; /* as it was logged last */
	struct rmnic_vdev_request request;
	sd_event_source *events_timer;
	uint64_t events_said; /* us: when events were said last */
	bool events_due;      /* the timer runs */

	/* The worker's, from ATTACH to CLOSE. */
	struct rmnic_dev *dev;
	struct rmnic_guest_memory memory;
	bool listening;   /* what the network brings is for the client */
	bool leaving;     /* CLOSE came: what the spill file has under way is waited for */
	int kick;
	int *calls;       /* a vector's eventfd, or -1 */
	struct rmnic_vdev_request *pending; /* one that takes its time */
	bool serving;     /* the engine may be polled */
	bool enabled;     /* ENABLE came, no RESET since */
	bool stopped;     /* STOP came, no START since */
	bool fatal;
	bool lost;        /* FENCED or DAMAGED: not served any more */
	bool lost_told;
	bool asleep;      /* NEED_WAKEUP is set */
	bool brief;       /* ... for 1 ms at most */
	struct rmnic_dev_enabling enabling;
	uint64_t no_vector; /* USER-13 */
	uint64_t grow_until; /* ns: what a CAPACITY wants is reserved for nobody as yet; 0: there is none */
	struct rmnic_vdev_events events; /* that the control thread has not fetched yet */
	uint32_t npeers;
	struct rmnic_conf_address peers[RMNIC_MAX_SERVERS];

	/* Between both. */
	_Atomic uint64_t capacity; /* pages; the worker's to change */
	atomic_bool give_up; /* the pending request is to end now */
	struct rmnic_vdev_notice fatal_notice, lost_notice; /* to the control thread */
	struct rmnic_vdev_news news;
	struct rmnic_vdev_notice poke;                      /* to the worker: look at give_up */
	uint32_t fatal_error, fatal_generation; /* written before the notice is posted */
};

/* --- device_work.c, in the worker ------------------------------------------------------------ */

/* Runs a request; it goes back when it has ended. */
void rmnic_vdev_work(struct rmnic_msg *msg);
/* Looks at the pending request, if there is one. True: it has ended. */
bool rmnic_vdev_go_on(struct rmnic_vdev *v);
/* Gives back what was reserved for a CAPACITY that nobody asks for any more. True: it did. */
bool rmnic_vdev_grow_end(struct rmnic_vdev *v);
/* Ends DMA: what is under way stays recorded in the state block, guest memory is let go of. */
void rmnic_vdev_suspend(struct rmnic_vdev *v);

/* --- device_why.c ---------------------------------------------------------------------------- */

/* What is wrong with a server, beyond silence. Returns buf; NULL: with none. */
const char *rmnic_vdev_fault(const struct rmnic_vdev *v, char *buf, size_t len);
/* A server's fault, or which one is silent. Returns buf. */
const char *rmnic_vdev_missing(const struct rmnic_vdev *v, char *buf, size_t len);

/* --- device_poll.c, in the worker ------------------------------------------------------------ */

/* A datagram for the device's client. */
void rmnic_vdev_rx(void *arg, const struct rmnic_rx *rx);
/* One round: true when something was done. */
bool rmnic_vdev_poll(struct rmnic_vdev *v);
/* Its page-ins only. */
bool rmnic_vdev_poll_in(struct rmnic_vdev *v);
/* After RX was drained (RMP-29). */
bool rmnic_vdev_timers(struct rmnic_vdev *v, uint64_t now);
/* Servers owe it answers. */
bool rmnic_vdev_owed(const struct rmnic_vdev *v);
/* Sends something to one of its servers, for the sake of its way; turn: counts up. */
void rmnic_vdev_touch(struct rmnic_vdev *v, uint32_t turn);
/* NEED_WAKEUP, and a last look. False: there is work. */
bool rmnic_vdev_sleep(struct rmnic_vdev *v, bool brief);
void rmnic_vdev_wake(struct rmnic_vdev *v);
uint64_t rmnic_vdev_deadline(struct rmnic_vdev *v);
/* The store's status changed. */
void rmnic_vdev_status(void *arg);

/* Adds a server to the client. False: there are too many. */
bool rmnic_vdev_peer_add(struct rmnic_vdev *v, const struct rmnic_server *server);
/* ... all of them, to a device that was just attached; in the worker while the control thread waits. */
void rmnic_vdev_peers_add(void *arg);
/* Its number, by its address; UINT32_MAX: the device does not know it. */
uint32_t rmnic_vdev_peer_find(const struct rmnic_vdev *v, struct rmnic_conf_address address);
/* The server's domain, and whether it is drained, as they are now. */
void rmnic_vdev_peer_set(struct rmnic_vdev *v, uint32_t peer, const struct rmnic_server *server);
void rmnic_vdev_peer_remove(struct rmnic_vdev *v, uint32_t peer);

/* --- device_news.c ---------------------------------------------------------------------------- */

void rmnic_vdev_news_refusal(struct rmnic_vdev *v, enum rmnic_refusal why, uint16_t qid,
			     uint16_t cid, uint64_t value);
/* For struct rmnic_remote_config. */
void rmnic_vdev_news_peer(void *arg, uint32_t peer, enum rmnic_peer_state state);
void rmnic_vdev_news_empty(void *arg, const uint8_t server[16], uint64_t slabs);
/* RELEASED: no server holds anything of it, as far as they answered. */
void rmnic_vdev_news_released(struct rmnic_vdev *v);
/* There are events. */
void rmnic_vdev_news_events(struct rmnic_vdev *v);
/* The message of news.notice. */
void rmnic_vdev_news_read(struct rmnic_msg *msg);

/* --- device_events.c -------------------------------------------------------------------------- */

/* For struct rmnic_remote_config. */
void rmnic_vdev_event(void *arg, const struct rmnic_remote_event *event);
/* Control thread: says them, or sees to it that they are said soon. */
void rmnic_vdev_events_came(struct rmnic_vdev *v);
/* At once. */
void rmnic_vdev_events_say(struct rmnic_vdev *v);

/* --- device.c -------------------------------------------------------------------------------- */

/* The device is made: it goes to its worker. */
void rmnic_vdev_begin(struct rmnic_vdev *v);
/* A request is back in the control thread. */
void rmnic_vdev_back(struct rmnic_msg *msg);
void rmnic_vdev_notify(struct rmnic_vdev *v, struct rmnic_vdev_notice *notice);

/* --- linger.c -------------------------------------------------------------------------------- */

/*
 * The device is gone, but a server that holds slabs of it was not told. True: it stays for that, without
 * its owner. False: it is to be closed.
 */
bool rmnic_vdev_linger(struct rmnic_vdev *v);
/* All have been told. */
void rmnic_vdev_linger_over(struct rmnic_vdev *v);

/* --- device_make.c --------------------------------------------------------------------------- */

/* The worker knows nothing of it any more. */
void rmnic_vdev_free(struct rmnic_vdev *v);

/* --- host.c ---------------------------------------------------------------------------------- */

extern const struct rmnic_host_ops rmnic_vdev_host_ops; /* host: the struct rmnic_vdev */
extern const struct rmnic_env_ops rmnic_vdev_env_ops;

#endif /* RMNIC_DAEMON_DEVICE_INTERNAL_H */
