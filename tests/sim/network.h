/* The network between hosts: connections that are streams of bytes, as TCP gives them.
 *
 * A stream has two ends, the dialler's (0) and the acceptor's (1), and a pipe towards each. What is
 * sent becomes one or more chunks with a delay of their own, but they arrive in order. A direction
 * that is cut holds its chunks until it is healed, as retransmission would; a stream may then break
 * instead. A dial into a cut, or to a host that is off, is answered by nothing; one to a host
 * without a process by a reset. The process behind an end need not run: what arrives waits.
 *
 * An end is put into its host's list, and its host is woken, when it is connected or accepted, when
 * bytes or the end of the stream have come, or when there is room to send again. */
#ifndef TESTS_SIM_NETWORK_H
#define TESTS_SIM_NETWORK_H

#include "base/list.h"
#include "base/prng.h"
#include "base/slice.h"
#include "tests/sim/events.h"
#include "tests/sim/trace.h"

enum {
    NETWORK_HOSTS_MAX = 32,
    NETWORK_PIPE_BYTES_MAX = 256 * 1024, /* under way and unread: then the sender has to wait */
};

enum stream_use { STREAM_CLIENT, STREAM_PEER };

struct stream;

struct stream_end {
    struct list ready;     /* in its host's list */
    struct stream *stream; /* whose end it is */
    unsigned which;        /* 0 dialled, 1 accepted */
    uint32_t host;         /* whose */
    bool open;             /* somebody has it */
    bool connected;        /* the dialler's: the other side has answered */
    bool ended;            /* nothing more comes, and nothing that is sent arrives */
    bool blocked;          /* waits for room */
    void *owner;           /* the shell's; NULL = not accepted yet */
};

struct chunk {
    uint64_t at_ns; /* when it arrives */
    uint32_t bytes; /* of DATA */
    uint32_t mark;  /* enum chunk_mark */
};

/* One direction. */
struct pipe {
    struct buffer bytes;   /* arrived and unread ones first, then those under way */
    size_t arrived;        /* of them */
    struct chunk *chunks;  /* owned; a circle, a power of two */
    uint32_t chunk_head;   /* first under way */
    uint32_t chunk_count;  /* under way */
    uint32_t chunk_places; /* allocated */
    uint64_t last_ns;      /* arrival of the last one: none overtakes another */
    bool held;             /* the first has met a cut and waits for the heal */
};

struct stream {
    struct stream_end ends[2]; /* 0 dialled, 1 accepted */
    struct pipe pipes[2];      /* towards that end */
    struct list link;          /* in the network's `used` or `unused` */
    enum stream_use use;       /* which port was dialled */
    uint32_t index;            /* its own */
    uint64_t generation;       /* counts its uses */
    bool torn;                 /* something was sent in part: whoever hears it is lost */
    bool unheard;              /* something was sent to an end that is gone, and got no answer */
};

/* How the links are; drawn once a seed. */
struct network_ways {
    uint64_t delay_ns[NETWORK_HOSTS_MAX][NETWORK_HOSTS_MAX]; /* least, one way */
    uint64_t jitter_ns;                                      /* added, below this */
    uint32_t spike_ppm;                                      /* chunks that take much longer */
    uint64_t spike_ns;                                       /* how much, below this */
    uint32_t split_ppm;                                      /* sends that come in pieces */
    uint32_t short_ppm;                                      /* reads that get a part */
    uint32_t dial_lost_ppm;                                  /* dials without an answer */
    uint32_t broken_ppm;    /* held streams that break when the cut is healed */
    uint64_t retransmit_ns; /* held chunks come so long after the heal, below this */
};

struct network {
    struct events *events;                      /* borrowed */
    struct trace *trace;                        /* borrowed */
    struct prng random;                         /* delays and such */
    struct network_ways ways;                   /* see above */
    uint32_t cut[NETWORK_HOSTS_MAX];            /* bit `to`: nothing from `from` gets there */
    uint64_t clog_ns[NETWORK_HOSTS_MAX];        /* nothing from this host arrives before */
    uint64_t lag_ns[NETWORK_HOSTS_MAX];         /* so late comes what peers send to this host, */
    uint64_t lag_until_ns[NETWORK_HOSTS_MAX];   /* if they send it before */
    bool up[NETWORK_HOSTS_MAX];                 /* a process listens there, running or not */
    bool shut[NETWORK_HOSTS_MAX];               /* but takes no more clients in */
    bool off[NETWORK_HOSTS_MAX];                /* no power: not even a reset comes back */
    struct list ready[NETWORK_HOSTS_MAX];       /* of struct stream_end */
    struct list used;                           /* of struct stream */
    struct list unused;                         /* likewise: their memory is kept */
    struct stream **streams;                    /* owned, by index */
    uint32_t stream_count;                      /* ever made */
    void (*wake_cb)(void *data, uint32_t host); /* there is something in its list */
    void (*heard_cb)(void *data, struct stream *s, struct slice bytes); /* a client sends */
    void *data;                                                         /* handed to both */
    uint64_t sent_bytes;                                                /* so far */
};

/** Begin without hosts. */
void network_init(struct network *n, struct events *events, struct trace *trace, uint64_t seed);

/** Free. */
void network_close_all(struct network *n);

/** The machine has power: what comes for connections of an earlier life is reset. */
void network_host_on(struct network *n, uint32_t host);

/** A process listens there now. */
void network_host_up(struct network *n, uint32_t host);

/** Its process listens for clients no longer: those that it has not accepted are reset. */
void network_host_shut(struct network *n, uint32_t host);

/** Its process is gone, and with it its ends. \param power  so is the machine: nobody is told. */
void network_host_down(struct network *n, uint32_t host, bool power);

/** Dial. \param owner  of this end, not NULL. */
struct stream *network_dial(struct network *n, uint32_t from, uint32_t to, enum stream_use use,
                            void *owner);

/** Send from end `end`. \return how many bytes were taken; if not all, the end is put into its list
 * when there is room. */
size_t network_send(struct network *n, struct stream *s, unsigned end, struct slice bytes);

/** What may be read at an end now, borrowed until network_consume(). */
struct slice network_peek(struct network *n, struct stream *s, unsigned end);

/** It was read. */
void network_consume(struct network *n, struct stream *s, unsigned end, size_t bytes);

/** Close an end. The stream may be gone afterwards. \param reset  the other side loses what it has
 * not read. */
void network_close(struct network *n, struct stream *s, unsigned end, bool reset);

/** Break a stream under both its ends. */
void network_break(struct network *n, struct stream *s);

/** The next end with something to look at, taken from the host's list; NULL: none. */
struct stream_end *network_next_ready(struct network *n, uint32_t host);

/** An EVENT_CHUNK is due. */
void network_event(struct network *n, const struct event *event);

/** Cut or heal one direction. */
void network_cut(struct network *n, uint32_t from, uint32_t to);
void network_heal(struct network *n, uint32_t from, uint32_t to);

/** Heal everything. */
void network_heal_all(struct network *n);

#endif
