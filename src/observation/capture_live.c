/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * An interface, captured by libpcap. What libpcap shows of a packet is gone
 * after its callback, so it is copied, up to the snap length, into a buffer
 * that takes a block. An interface that goes away is waited for.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "capture.h"
#include "conflux/log.h"
#include "conflux/nearest.h"
#include "conflux/ntp.h"
#include "conflux/wire.h"

enum {
	BUFFER_TIMEOUT_MS = 100, /* a block of the kernel is given up by then */
	TURN_PACKETS = 4096,	 /* then others have their turn */
	STATISTICS_MS = 1000,
	REOPEN_MS = 1000, /* between two attempts, at first */
	REOPEN_MAX_MS = 30000,
	STOP_TURNS = 256,	   /* of what the kernel has at the end */
	BLOCK_OCTETS = 256 * 1024, /* of the packets in a block, at least one */
};

struct capture_live {
	struct capture capture;
	uint32_t index; /* ifIndex, 0: any */
	enum capture_direction direction;
	uint32_t snap_length, buffer_octets;
	bool immediate, promiscuous;
	uint16_t fanout;
	bool follows; /* another worker counts what the interface drops */
	pcap_t *pcap; /* NULL: it is down */
	uint64_t since_ns; /* what came before others have, too */
	uint32_t link;	   /* DLT_ of libpcap */
	bool nano;
	struct event *readable;
	struct event *timer; /* statistics, or the next attempt to open */
	uint64_t reopen_ms;
	uint8_t *buffer;
	uint32_t buffer_size, used;
	uint32_t dropped, if_dropped; /* as libpcap told last */
	uint64_t kernel_drops, interface_drops, reopened;
};

static void
flush(struct capture_live *l)
{
	capture_flush(&l->capture);
	l->used = 0;
}

/* ---- packets -------------------------------------------------------------- */

/*
 * Which way a packet went. Captures of one interface do not tell; those of all
 * have it in their header: 4 is outgoing. The interface is there in SLL2.
 */
static void
fill_direction(const struct capture_live *l, struct frame *frame,
	       const uint8_t *data)
{
	uint32_t index = l->index;

	frame->direction = FRAME_UNKNOWN;
	if (l->direction == CAPTURE_INGRESS)
		frame->direction = FRAME_INGRESS;
	else if (l->direction == CAPTURE_EGRESS)
		frame->direction = FRAME_EGRESS;
	if (l->link == DLT_LINUX_SLL2 && frame->length >= 20) {
		index = wire_get32(data + 4);
		frame->direction = data[10] == PACKET_OUTGOING ? FRAME_EGRESS
							       : FRAME_INGRESS;
	} else if (l->link == DLT_LINUX_SLL && frame->length >= 16) {
		frame->direction = data[1] == PACKET_OUTGOING ? FRAME_EGRESS
							      : FRAME_INGRESS;
	}
	frame->interface = frame->direction == FRAME_EGRESS ? 0 : index;
	frame->egress = frame->direction == FRAME_EGRESS ? index : 0;
}

static void
on_packet(u_char *arg, const struct pcap_pkthdr *h, const u_char *data)
{
	struct capture_live *l = (struct capture_live *)arg;
	struct capture *c = &l->capture;
	uint32_t length = h->caplen < l->snap_length ? h->caplen
						     : l->snap_length;
	uint64_t fraction = (uint64_t)h->ts.tv_usec;
	uint64_t ns = (uint64_t)h->ts.tv_sec * NSEC_PER_SEC +
		      (l->nano ? fraction : fraction * 1000);
	struct frame *frame;

	if (ns < l->since_ns)
		return;
	if (capture_block_over(c, ns) || l->buffer_size - l->used < length)
		flush(l);
	if (c->frame_count == 0)
		c->block_ns = ns;
	frame = &c->frame[c->frame_count++];
	memcpy(l->buffer + l->used, data, length);
	*frame = (struct frame){
		.data = l->buffer + l->used,
		.length = length,
		.wire_length = h->len,
		.time_ns = ns,
		.link = l->link,
		.weight = 1,
	};
	fill_direction(l, frame, frame->data);
	l->used += (length + 7) & ~7u;
	c->packets++;
	c->octets += h->len;
}

static void
count_drops(struct capture_live *l)
{
	struct pcap_stat stat;
	uint32_t dropped, if_dropped;

	if (!l->pcap || pcap_stats(l->pcap, &stat) < 0)
		return;
	/* Their counters have 32 bits and start again. */
	dropped = stat.ps_drop - l->dropped;
	if_dropped = stat.ps_ifdrop - l->if_dropped;
	l->dropped = stat.ps_drop;
	l->if_dropped = stat.ps_ifdrop;
	if (l->follows)
		if_dropped = 0;
	l->kernel_drops += dropped;
	atomic_fetch_add_explicit(&l->capture.untold_drops, dropped,
				  memory_order_relaxed);
	l->interface_drops += if_dropped;
	observer_lost(l->capture.observer, dropped, if_dropped);
}

/* ---- going down, coming up ------------------------------------------------- */

static void
wait_for(struct capture_live *l, uint64_t ms)
{
	struct timeval wait = {.tv_sec = (time_t)(ms / 1000),
			       .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	event_add(l->timer, &wait);
}

static void
close_pcap(struct capture_live *l)
{
	if (l->readable)
		event_free(l->readable);
	l->readable = NULL;
	if (l->pcap)
		pcap_close(l->pcap);
	l->pcap = NULL;
	l->dropped = l->if_dropped = 0;
}

static void
went_down(struct capture_live *l)
{
	flush(l);
	count_drops(l);
	log_error("observation: %s: interface %s: %s; nothing is metered there "
		  "until it is back",
		  l->capture.name, l->capture.interface, pcap_geterr(l->pcap));
	close_pcap(l);
	l->reopen_ms = REOPEN_MS;
	wait_for(l, l->reopen_ms);
}

/* How many packets there were. */
static int
read_turn(struct capture_live *l)
{
	int n, sum = 0;

	do {
		n = pcap_dispatch(l->pcap, TURN_PACKETS, on_packet,
				  (u_char *)l);
		sum += n > 0 ? n : 0;
	} while (n > 0 && sum < TURN_PACKETS);
	flush(l);
	if (n < 0)
		went_down(l);
	return sum;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	read_turn(arg);
}

/* ---- opening --------------------------------------------------------------- */

static const char *
nearest_interface(const char *wrong, char *best, size_t size)
{
	unsigned distance = nearest_start(wrong);
	struct if_nameindex *list = if_nameindex();

	best[0] = 0;
	for (struct if_nameindex *i = list; i && i->if_name; i++)
		if (nearest_closer(wrong, i->if_name, &distance))
			snprintf(best, size, "%s", i->if_name);
	if (list)
		if_freenameindex(list);
	return best[0] ? best : NULL;
}

static int
refuse(struct capture_live *l, int status, char **error)
{
	char best[IF_NAMESIZE];
	const char *near;

	switch (status) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		near = nearest_interface(l->capture.interface, best,
					 sizeof(best));
		return text_error(
			error, -ENODEV, "there is no interface %s%s%s",
			l->capture.interface, near ? ", nearest is " : "",
			near ? near : "");
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return text_error(error, -EPERM,
				  "interface %s: no right to capture, "
				  "expected root or CAP_NET_RAW",
				  l->capture.interface);
	case PCAP_ERROR_IFACE_NOT_UP:
		return text_error(error, -ENETDOWN, "interface %s is not up",
				  l->capture.interface);
	default:
		return text_error(
			error, -EIO, "interface %s: %s", l->capture.interface,
			status == PCAP_ERROR ? pcap_geterr(l->pcap)
					     : pcap_statustostr(status));
	}
}

static int
set_filter(struct capture_live *l, char **error)
{
	struct bpf_program program;
	int rc;

	if (!l->capture.expression)
		return 0;
	if (pcap_compile(l->pcap, &program, l->capture.expression, 1,
			 PCAP_NETMASK_UNKNOWN) < 0)
		return text_error(error, -EINVAL, "filter \"%s\": %s",
				  l->capture.expression, pcap_geterr(l->pcap));
	rc = pcap_setfilter(l->pcap, &program);
	pcap_freecode(&program);
	return rc < 0 ? refuse(l, PCAP_ERROR, error) : 0;
}

/*
 * By a hash of the flow that is the same for both directions. No rollover: a
 * flow stays with its worker, what it has no room for is dropped and counted.
 * Until it is in the group a socket has the packets of all.
 */
static int
set_fanout(struct capture_live *l, char **error)
{
	const uint32_t mode = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG;
	uint32_t how = l->fanout | mode << 16;
	struct timespec now;

	if (!l->fanout)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	l->since_ns =
		(uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
	if (setsockopt(pcap_fileno(l->pcap), SOL_PACKET, PACKET_FANOUT, &how,
		       sizeof(how)) < 0)
		return text_error(error, -errno,
				  "interface %s: several workers can't "
				  "share it: %s",
				  l->capture.interface, strerror(errno));
	return 0;
}

static int
set_direction(struct capture_live *l, char **error)
{
	pcap_direction_t direction = l->direction == CAPTURE_INGRESS
					     ? PCAP_D_IN
					     : PCAP_D_OUT;

	if (l->direction == CAPTURE_BOTH)
		return 0;
	return pcap_setdirection(l->pcap, direction) < 0
		       ? refuse(l, PCAP_ERROR, error)
		       : 0;
}

static int
activate(struct capture_live *l, char **error)
{
	char text[PCAP_ERRBUF_SIZE] = "";
	int rc;

	l->pcap = pcap_create(l->capture.interface, text);
	if (!l->pcap)
		return text_error(error, -EIO, "interface %s: %s",
				  l->capture.interface, text);
	pcap_set_snaplen(l->pcap, (int)l->snap_length);
	pcap_set_promisc(l->pcap, l->promiscuous);
	pcap_set_timeout(l->pcap, BUFFER_TIMEOUT_MS);
	pcap_set_buffer_size(l->pcap, (int)l->buffer_octets);
	pcap_set_immediate_mode(l->pcap, l->immediate);
	l->nano = pcap_set_tstamp_precision(l->pcap,
					    PCAP_TSTAMP_PRECISION_NANO) == 0;
	rc = pcap_activate(l->pcap);
	if (rc < 0)
		return refuse(l, rc, error);
	if (rc > 0)
		log_warning("observation: %s: interface %s: %s; it is "
			    "captured as it is",
			    l->capture.name, l->capture.interface,
			    rc == PCAP_WARNING ? pcap_geterr(l->pcap)
					       : pcap_statustostr(rc));
	if (l->index == 0) /* of all interfaces: with their numbers */
		pcap_set_datalink(l->pcap, DLT_LINUX_SLL2);
	if (pcap_setnonblock(l->pcap, 1, text) < 0)
		return text_error(error, -EIO, "interface %s: %s",
				  l->capture.interface, text);
	l->link = (uint32_t)pcap_datalink(l->pcap);
	return 0;
}

static int
open_pcap(struct capture_live *l, char **error)
{
	int rc;

	l->index = if_nametoindex(l->capture.interface);
	rc = activate(l, error);
	if (rc == 0)
		rc = set_filter(l, error);
	if (rc == 0)
		rc = set_direction(l, error);
	if (rc == 0)
		rc = set_fanout(l, error);
	if (rc == 0) {
		l->readable = event_new(l->capture.base,
					pcap_get_selectable_fd(l->pcap),
					EV_READ | EV_PERSIST, on_readable, l);
		if (!l->readable || event_add(l->readable, NULL) < 0)
			rc = -ENOMEM;
	}
	if (rc < 0)
		close_pcap(l);
	return rc;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct capture_live *l = arg;
	char *error = NULL;
	int rc;

	if (l->pcap) {
		l->since_ns = 0; /* clocks can be set back */
		count_drops(l);
		wait_for(l, STATISTICS_MS);
		return;
	}
	rc = open_pcap(l, &error);
	if (rc == 0) {
		l->reopened++;
		log_notice("observation: %s: interface %s is back",
			   l->capture.name, l->capture.interface);
		wait_for(l, STATISTICS_MS);
	} else {
		log_debug("observation: %s: %s", l->capture.name,
			  error ? error : strerror(-rc));
		if (l->reopen_ms < REOPEN_MAX_MS)
			l->reopen_ms *= 2;
		wait_for(l, l->reopen_ms);
	}
	free(error);
}

/* ---- the capture ----------------------------------------------------------- */

static void
live_stop(struct capture *capture)
{
	struct capture_live *l = (struct capture_live *)capture;

	/* What the kernel still has. */
	for (unsigned turn = 0; l->pcap && turn < STOP_TURNS; turn++)
		if (read_turn(l) == 0)
			break;
	count_drops(l);
	close_pcap(l);
	if (l->timer)
		event_del(l->timer);
}

static void
live_free(struct capture *capture)
{
	struct capture_live *l = (struct capture_live *)capture;

	if (l->timer)
		event_free(l->timer);
	free(l->buffer);
}

static void
live_progress(const struct capture *capture, uint64_t *done, uint64_t *total)
{
	*done = *total = 0;
}

static void
live_report(struct capture *capture, struct report *report)
{
	struct capture_live *l = (struct capture_live *)capture;
	const char *link = pcap_datalink_val_to_name((int)l->link);

	report_text(report, "interface", l->capture.interface);
	report_bool(report, "up", l->pcap != NULL);
	report_text(report, "linkType", link ? link : "");
	report_uint(report, "snapLength", l->snap_length);
	report_uint(report, "kernelDrops", l->kernel_drops);
	report_uint(report, "interfaceDrops", l->interface_drops);
	report_uint(report, "reopened", l->reopened);
}

static const struct capture_ops live_ops = {
	.stop = live_stop,
	.free = live_free,
	.report = live_report,
	.progress = live_progress,
};

size_t
capture_live_size(void)
{
	return sizeof(struct capture_live);
}

int
capture_live_open(const struct capture_conf *conf, struct capture *capture,
		  char **error)
{
	struct capture_live *l = (struct capture_live *)capture;
	int rc;

	capture->ops = &live_ops;
	l->direction = conf->direction;
	l->snap_length = conf->snap_length ? conf->snap_length : SNAP_DEFAULT;
	l->buffer_octets = conf->buffer_octets ? conf->buffer_octets
					       : BUFFER_DEFAULT;
	l->immediate = conf->immediate;
	l->promiscuous = conf->promiscuous;
	l->fanout = conf->fanout;
	l->follows = conf->follows;
	l->buffer_size = l->snap_length + 8 > BLOCK_OCTETS ? l->snap_length + 8
							   : BLOCK_OCTETS;
	l->buffer = malloc(l->buffer_size);
	l->timer = evtimer_new(capture->base, on_timer, l);
	if (!l->buffer || !l->timer)
		return -ENOMEM;
	rc = open_pcap(l, error);
	if (rc == 0)
		wait_for(l, STATISTICS_MS);
	return rc;
}
