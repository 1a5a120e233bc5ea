/* Somebody who only reads, with no session to lose: a reader dials a server of its own choice, most
 * often one that leads or believes so, and asks it again and again for a while, whatever becomes of
 * that server: it may lose its leadership, be stopped, or be cut off from the others and still
 * reach the reader. So a deposed leader is asked, which clients would have left.
 *
 * The claim: each answer is what the log gives at one of the entries from the last that any server
 * had applied when the read was sent to the last when its answer came. So no read is older than
 * what was committed, and known to be, before it was sent, let alone acknowledged. What is left of
 * a lease in an answer is a hint, and is not looked at. */
#ifndef TESTS_SIM_READER_H
#define TESTS_SIM_READER_H

#include "base/prng.h"
#include "protocol/messages.h"
#include "tests/sim/network.h"
#include "tests/sim/swarm.h"

struct sim;

enum {
    READER_QUERIES = 2,    /* that a reader asks of one server in turn */
    READER_READS = 16,     /* under way; the oldest is given up for the next */
    READER_ANSWERS = 512,  /* different ones of a query; what waits for longer is given up */
    READER_NAME_BYTES = 24 /* of a lock, a record or a transfer */
};

/* What is asked, and what the log answers to it as it grows while an answer is waited for. */
struct reader_query {
    uint16_t op; /* enum op_code */
    union {
        struct msg_check check;
        struct msg_info info;
        struct msg_list list;
        struct msg_session_list session_list;
        struct msg_record_get record_get;
        struct msg_record_list record_list;
        struct msg_timer_list timer_list;
        struct msg_branch_get branch_get;
        struct msg_branch_list branch_list;
        struct msg_config_get config_get;
        struct msg_audit audit;
        struct msg_watch watch;
        struct msg_empty nothing;     /* FROZEN_LIST, EVENT_PREFIXES */
    } request;                        /* of that op */
    char name[READER_NAME_BYTES];     /* that it borrows */
    uint32_t waiting;                 /* reads of it under way */
    uint64_t answer_count;            /* so far; neighbours differ */
    uint64_t answers[READER_ANSWERS]; /* hashes of the last ones, in a circle */
};

/* A read under way. */
struct reader_read {
    uint64_t id;    /* request id; 0 = none */
    uint32_t query; /* of the reader's */
    uint64_t first; /* answer_count when it was sent: that answer or a later one is right */
    uint64_t index; /* of the last entry applied then, for people */
};

struct sim_reader {
    struct sim *sim;       /* borrowed */
    uint32_t index;        /* of the readers */
    uint32_t host;         /* in the network */
    struct prng random;    /* servers, queries, times */
    struct stream *stream; /* to the server; NULL = none */
    uint32_t server;       /* its index */
    bool greeted;          /* HELLO was sent */
    uint64_t leave_ns;     /* it goes to another one then, true time */
    uint64_t send_ns;      /* the next read, or the next dial, is due then */
    uint64_t wake_ns;      /* a step is due then */
    uint64_t wake_stamp;   /* of that event */
    uint64_t id_last;      /* of requests */
    struct buffer in;      /* no whole frame yet */
    struct buffer out;     /* a frame to be sent */
    struct reader_query queries[READER_QUERIES];
    struct reader_read reads[READER_READS]; /* by id, in a circle */
};

/** Begin; it dials soon. */
void reader_init(struct sim_reader *r, struct sim *sim, uint32_t index);

/** Free. */
void reader_close(struct sim_reader *r);

/** A step is due at `at_ns` at the latest, true time. */
void reader_wake(struct sim_reader *r, uint64_t at_ns);

/** Its event. */
void reader_event(struct sim_reader *r, const struct event *event);

/** An entry was applied for the first time: what is asked has another answer, perhaps. */
void reader_see_entry(struct sim_reader *r);

#endif
