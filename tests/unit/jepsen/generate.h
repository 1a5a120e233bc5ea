/* Histories of a small simulated service, right or with one kind of fault planted in it. Clients
 * call, the service does each request at one moment between call and return, and lets leases lapse
 * in its own time; some answers are lost, some requests are late or never come. It is written after
 * docs/history-format.md and shares no code with the models that judge it. */
#ifndef TESTS_UNIT_JEPSEN_GENERATE_H
#define TESTS_UNIT_JEPSEN_GENERATE_H

#include "base/prng.h"
#include "base/slice.h"
#include "jepsen/check/operation.h"

enum fault {
    FAULT_NONE,
    /* locks */
    FAULT_DOUBLE_GRANT,
    FAULT_EARLY_EXPIRY,
    FAULT_TOKEN_REUSE,
    FAULT_STALE_RELEASE,
    FAULT_LOST_RELEASE,
    FAULT_STALE_RENEW,
    FAULT_LOST_RENEW,
    FAULT_STALE_READ,
    /* locks: permits, several names, changes of the mode */
    FAULT_OVER_LIMIT,
    FAULT_PARTIAL,
    FAULT_UPGRADE_BESIDE,
    FAULT_UPGRADE_FORGOTTEN,
    /* records */
    FAULT_RE_EXECUTION,
    FAULT_CHANGED_RESPONSE,
    FAULT_DOUBLE_START,
    FAULT_LOST_COMPLETION,
    FAULT_STALE_COMPLETION,
    FAULT_DONE_REOPENED, /* version 2 */
    FAULT_COUNT
};

enum { CLIENTS_MAX = 64, KEYS_MAX = 4096, LOCK_GRANTS_MAX = 128, FAULTS_PLANTED_MAX = 3 };

struct generate_options {
    uint64_t seed;
    const char *model;   /* "lock", "idem", "fencedreg" */
    int version;         /* of the format: 1 or 2 */
    unsigned clients;    /* at most CLIENTS_MAX */
    unsigned keys;       /* at most KEYS_MAX */
    unsigned operations; /* about so many lines */
    unsigned unknown;    /* in a hundred: answers that are lost */
    unsigned shared;     /* in a hundred: acquires that are shared; version 2 only */
    bool many;           /* permits, several names, changes of the mode; version 2 only */
    enum fault fault;    /* to plant a few times */
};

/* ------------------------------------------------------------------ for generate_*.c */

struct generator {
    const struct generate_options *options;
    struct prng prng;
    int64_t now_ns;
    unsigned planted;   /* faults, so far */
    bool unheard;       /* of what is served now, or hardly anybody: no fault would be seen */
    int64_t last_token; /* of any record */
    int64_t ending[CLIENTS_MAX]; /* the token that each client asked last to end */
    uint32_t rests;              /* this client makes a long pause after its answer; 0 = none */
};

/* True if the fault is the one to be planted, and it is to be now. */
bool plant(struct generator *g, enum fault fault);

/* True so many times in a hundred. */
bool chance(struct generator *g, unsigned percent);

/* Uniform from least to most. */
int64_t between(struct generator *g, int64_t least, int64_t most);

enum { NS_PER_MS = 1000000, GENERATE_STATE_BYTES = 1 << 16 };

/* A kind of service: what a client asks next, and what it is answered. Names of owners,
 * fingerprints and responses are small numbers here. */
struct service {
    size_t client_bytes;
    size_t key_bytes; /* 0: one state of GENERATE_STATE_BYTES for all keys */
    /* The next request of a client, in `op`: kind, key and arguments. */
    void (*ask)(struct generator *g, void *client, unsigned number, struct operation *op);
    /* Do it: fill in the outcome, if it is to be told. \param key  its key's; the first one of all
     * if it has several. */
    void (*serve)(struct generator *g, void *key, struct operation *op);
    /* The client hears what became of it. */
    void (*hear)(struct generator *g, void *client, const struct operation *op);
};

extern const struct service lock_service, many_service, idem_service, register_service;

/* ------------------------------------------------------------------ for tests */

/* Write the lines of a history into `out`. \return how many faults were planted */
unsigned generate(const struct generate_options *options, struct buffer *out);

#endif
