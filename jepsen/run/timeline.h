/* A history read back for people: each operation as a bar of a lane, faults as bands, leaders as
 * marks. It reads only what it draws and counts, of lines that this program or the library wrote;
 * what is right about them is the checker's to say. */
#ifndef JEPSEN_RUN_TIMELINE_H
#define JEPSEN_RUN_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TIMELINE_LANES_MAX = 40,
    TIMELINE_EVENTS_MAX = 20000,
    TIMELINE_OPERATIONS_MAX = 4000000,
    TIMELINE_KINDS_MAX = 24,
    TIMELINE_WORD_BYTES = 32,
    TIMELINE_DETAIL_BYTES = 128,
};

enum timeline_outcome { TIMELINE_OK, TIMELINE_FAIL, TIMELINE_UNKNOWN, TIMELINE_OUTCOMES };

struct timeline_operation {
    uint64_t call_ns; /**< as in the history */
    uint64_t ret_ns;  /**< 0 = unknown */
    uint8_t lane;     /**< whose */
    uint8_t outcome;  /**< enum timeline_outcome */
};

struct timeline_event {
    uint64_t call_ns;                   /**< its begin */
    uint64_t ret_ns;                    /**< its end */
    bool is_fault;                      /**< else a leader */
    char what[TIMELINE_WORD_BYTES];     /**< nemesis */
    char detail[TIMELINE_DETAIL_BYTES]; /**< for people */
};

/** How often an operation ended how. */
struct timeline_kind {
    char op[TIMELINE_WORD_BYTES];       /**< "acquire", "write", ... */
    uint64_t counts[TIMELINE_OUTCOMES]; /**< by outcome */
    uint64_t refused;                   /**< of the failed: those with "stale_token", "not_held" */
};

struct timeline {
    struct timeline_operation *operations;               /**< owned, by call */
    size_t count;                                        /**< of them */
    size_t room;                                         /**< for so many */
    struct timeline_event *events;                       /**< owned */
    size_t event_count;                                  /**< of them */
    struct timeline_kind kinds[TIMELINE_KINDS_MAX];      /**< by the first time seen */
    unsigned kind_count;                                 /**< of them */
    char lanes[TIMELINE_LANES_MAX][TIMELINE_WORD_BYTES]; /**< names, in order; the last may gather
                                                              the rest */
    unsigned lane_count;                                 /**< of them */
    uint64_t begin_ns;                                   /**< the first call */
    uint64_t end_ns;                                     /**< the last call or return */
};

/** Read a file. \param t  Out; owned: timeline_close() it. \return false: it cannot be read. */
bool timeline_read(struct timeline *t, const char *path);

/** Free it. A zeroed one is accepted. */
void timeline_close(struct timeline *t);

/** Of all kinds. \param outcome enum timeline_outcome. */
uint64_t timeline_total(const struct timeline *t, int outcome);

#endif
