/* Reads of sessions and locks: CHECK, INFO, LIST, SESSION_LIST (docs/contract.md, sections 3 and
 * 4). Evaluated at the applied cluster time; what is shown as left subtracts the time since, and
 * is a hint. Pages end where the answer would pass a third of a frame. */
#ifndef MACHINE_READS_H
#define MACHINE_READS_H

#include "machine/dispatch.h"

enum { READ_PAGE_BYTES_MAX = FRAME_BYTES_MAX / 3 };

/** What is left at `at_ms`, `elapsed_ms` after the applied time. */
static inline uint64_t read_left(const struct machine *m, uint64_t at_ms, uint64_t elapsed_ms)
{
    uint64_t left_ms = state_left(m, at_ms);
    return left_ms > elapsed_ms ? left_ms - elapsed_ms : 0;
}

/** The end of a lock's delay: of lost permits the first that come back, of forced grants the latest
 * that it can be. */
static inline uint64_t read_delay_of(const struct row_lock *lock)
{
    uint64_t end_ms = lock->units_delay_ms;
    if (lock->shared_delay_ms > end_ms) end_ms = lock->shared_delay_ms;
    if (lock->forced_ms > end_ms) end_ms = lock->forced_ms;
    return lock->delay_ms > end_ms ? lock->delay_ms : end_ms;
}

/** Copy a page's text to `keep`, where it stays until the page is encoded. */
HF_MUST_USE
int read_keep(struct machine *m, struct slice *bytes);

/** A page that is being filled. */
struct read_page {
    void *items;        /**< in `keep` */
    uint32_t count;     /**< in use */
    uint32_t count_max; /**< there is room for */
    size_t bytes;       /**< encoded, about */
};
HF_MUST_USE
int read_page_open(struct machine *m, struct read_page *page, size_t item_bytes,
                   uint32_t count_max);

/** True if nothing more may be shown. */
static inline bool read_page_is_full(const struct read_page *page)
{
    return page->count == page->count_max || page->bytes >= READ_PAGE_BYTES_MAX;
}

/* Readers; see struct op_owner. */
HF_MUST_USE
int read_check(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);
HF_MUST_USE
int read_info(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);
HF_MUST_USE
int read_list(struct machine *m, const void *request, uint64_t elapsed_ms, struct reply_out *out);
HF_MUST_USE
int read_session_list(struct machine *m, const void *request, uint64_t elapsed_ms,
                      struct reply_out *out);

#endif
