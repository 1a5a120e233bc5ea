/* Generations of the store, and what of the log may go.
 *
 * The active generation is handed over when it is large, or old enough and something changed; it
 * stands for the applied index, and only if the log is durable up to there: a store ahead of its
 * own log could not be continued. Once it is flushed the log in front of it may go, less a trail
 * that spares a server that was away for a while the whole image.
 *
 * Failure modes: a full disk keeps the generation and is tried again every second, meanwhile new
 * work that takes space is refused; two full generations pause the applying of entries. Whether
 * there is space again is looked up when somebody wants it, once a second: nothing else may be
 * written that would show it.
 *
 * A stop flushes what was applied when it came to that, and no more: under load there is always a
 * little more, and the others' entries come for as long as this server stands in their way. */
#include "base/buggify.h"
#include "base/planted.h"
#include "base/status.h"
#include "machine/rows.h"
#include "server/replica_parts.h"

enum { FLUSH_RETRY_MS = 1000, SPACE_CHECK_MS = 1000 };

bool replica_generations_full(const struct replica *r)
{
    return store_active_bytes(r->store) >= r->limits.checkpoint_bytes_max;
}

/* A full generation may not go past the log's durable end either: wait, it is being written. */
static bool may_begin(const struct replica *r)
{
    bool durable = r->applied_index <= wal_durable_index(r->wal) || planted(STORE_PAST_LOG);
    return !store_is_flushing(r->store) && r->applied_index > r->checkpoint_index && durable;
}

/* What must stay free on a disk: deleting takes space, too, before it gives some back. */
static uint64_t reserve_of(const struct replica *r, uint64_t capacity_bytes)
{
    uint64_t reserve = capacity_bytes / 100 * r->limits.reserve_percent;
    if (reserve > r->limits.reserve_bytes_max) reserve = r->limits.reserve_bytes_max;
    if (reserve < r->limits.reserve_bytes_min) reserve = r->limits.reserve_bytes_min;
    return reserve;
}

/* What was given up inside the store's file is room, too: the file does not shrink, and what people
 * erase, or retention takes, must bring service back. But the log cannot use it: half of the
 * reserve is always the disk's own. */
static bool is_short(const struct replica *r, const struct disk_space *space)
{
    uint64_t reserve = reserve_of(r, space->capacity_bytes);
    if (space->free_bytes >= reserve) return false;
    if (space->free_bytes < reserve / 2) return true;
    return space->free_bytes + store_free_inside(r->store) < reserve;
}

void replica_check_space(struct replica *r)
{
    struct disk_space space;
    r->space_checked_ms = r->now.elapsed_ms;
    if (disk_space(r->disk, &space) != HF_OK) return; /* a hint: the log will tell */
    bool flush_failed = r->flush_retry_ms != 0;       /* it knows better, until it succeeds */
    r->disk_full = is_short(r, &space) || flush_failed || !store_has_room(r->store);
    /* what frees needs the log: a segment may take from the reserve */
    if (!wal_has_room(r->wal) && space.free_bytes > r->segment_bytes) wal_prepare_retry(r->wal);
}

/* A member that is away will need the log from where it was: it may not grow without end. */
static bool trail_is_full(const struct replica *r)
{
    return !r->alone && wal_disk_bytes(r->wal) > r->limits.trail_bytes_max;
}

bool replica_has_space(struct replica *r)
{
    bool full = r->disk_full || !wal_has_room(r->wal);
    if (full && r->now.elapsed_ms - r->space_checked_ms >= SPACE_CHECK_MS) replica_check_space(r);
    return !r->disk_full && wal_has_room(r->wal) && !trail_is_full(r);
}

const char *replica_shortage(const struct replica *r)
{
    if (!wal_has_room(r->wal)) return "no disk space for the log's next segment";
    if (trail_is_full(r)) return "the log has its largest size: a member is away that will need it";
    if (r->leads && r->members_short) return "a majority of the members is short of space";
    if (!r->disk_full) return NULL;
    if (r->flush_retry_ms != 0) return "no disk space for the store's flush";
    if (!store_has_room(r->store)) return "the store has its largest size: see --map-gib";
    return "the disk's reserve is reached";
}

uint64_t replica_space_when(const struct replica *r)
{
    bool waits = wal_pending_bytes(r->wal) > 0 && !wal_has_room(r->wal);
    return waits ? r->space_checked_ms + SPACE_CHECK_MS : UINT64_MAX;
}

/* Alone, libraft is told, so that it forgets as well. With other members it is not: it would then
 * want to send an image to whoever lags, and none is made. What every member holds is never asked
 * for again. */
static int shorten_log(struct replica *r)
{
    const struct store_mark *mark = store_mark(r->store);
    if (mark->index == 0) return HF_OK; /* nothing is in the store's file yet */
    uint64_t trail_bytes = wal_has_room(r->wal) ? r->limits.trail_bytes : 0;
    uint64_t keep_from = wal_trail_begin(r->wal, mark->index, trail_bytes);
    bool all_hold_it = r->alone || planted(LOG_CUT_TOO_FAR);
    uint64_t held = all_hold_it ? keep_from : replica_held_index(r);
    if (held < keep_from) keep_from = held;
    if (keep_from <= 1) return HF_OK; /* all of it is trail */
    HF_ASSERT(keep_from <= mark->index);
    if (mark->index - keep_from >= UINT32_MAX) return HF_OK;

    struct driver_mark driver_mark = {
        .index = mark->index,
        .term = mark->term,
        .configuration_index = mark->configuration_index,
        .configuration = mark->configuration,
    };
    uint32_t trailing = (uint32_t)(mark->index - keep_from + 1);
    int rv =
        r->alone ? driver_compact(r->driver, r->now.elapsed_ms, &driver_mark, trailing) : HF_OK;
    if (rv != HF_OK) return rv;
    wal_remove_before(r->wal, keep_from);
    entries_forget(&r->entries, keep_from);
    return HF_OK;
}

#ifdef HF_PLANTED
/* ANSWERS_DROPPED alone. */
static int drop_answers(struct store *s)
{
    for (;;) {
        struct store_cursor cursor = {0};
        struct slice key, value;
        uint8_t copy[STORE_KEY_BYTES_MAX];
        int rv = store_seek(s, TABLE_REPLIES, slice_make(NULL, 0), &cursor, &key, &value);
        if (rv == HF_OK) memcpy(copy, key.data, key.size);
        store_cursor_close(&cursor);
        if (rv == HF_OK) rv = store_del(s, TABLE_REPLIES, slice_make(copy, key.size));
        if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_OK : rv;
    }
}
#endif

int replica_checkpoint(struct replica *r, bool now_please)
{
    /* Whom it waits for may have caught up, and no flush may come that would show it: without room
     * nothing is appended, so nothing is applied. */
    bool tight = trail_is_full(r) || !wal_has_room(r->wal);
    int rv = tight ? shorten_log(r) : HF_OK;
    if (rv != HF_OK) return rv;
    if (!may_begin(r)) return HF_OK;
    bool large = store_active_bytes(r->store) >= r->limits.checkpoint_bytes;
    bool old = r->now.elapsed_ms - r->changed_ms >= r->limits.checkpoint_age_ms;
    bool due = large || old || HF_BUGGIFY(EARLY_CHECKPOINT);
    if (r->last_index != 0) due = false; /* a stop asks itself */
    if (!due && !now_please) return HF_OK;

    struct store_mark mark = {
        .index = r->applied_index,
        .term = r->applied_term,
        .configuration_index = r->configuration_index,
        .configuration = buffer_slice(&r->configuration),
    };
    if (!planted(STORE_PAST_LOG)) HF_ASSERT(mark.index <= wal_durable_index(r->wal));
#ifdef HF_PLANTED
    if (planted(ANSWERS_DROPPED)) rv = drop_answers(r->store);
    if (rv != HF_OK) return rv;
#endif
    rv = store_checkpoint(r->store, &mark);
    if (rv != HF_OK) return rv;
    r->checkpoint_index = mark.index;
    r->flush_ready = true;
    r->counts.checkpoint_count++;
    replica_check_space(r);
    return HF_OK;
}

uint64_t replica_checkpoint_when(const struct replica *r)
{
    if (r->flush_ready) return r->flush_retry_ms;
    if (r->last_index != 0 || !may_begin(r)) return UINT64_MAX;
    return r->changed_ms + r->limits.checkpoint_age_ms;
}

bool replica_flush_wanted(struct replica *r, struct replica_now now)
{
    if (!r->flush_ready || now.elapsed_ms < r->flush_retry_ms) return false;
    r->flush_ready = false;
    return true;
}

bool replica_checkpoint_wanted(struct replica *r, struct replica_now now, int *status)
{
    r->now = now;
    *status = HF_OK;
    if (r->last_index == 0) r->last_index = r->applied_index;
    if (r->checkpoint_index < r->last_index) *status = replica_checkpoint(r, true);
    return *status == HF_OK &&
           (store_is_flushing(r->store) || store_mark(r->store)->index < r->last_index);
}

int replica_flush_done(struct replica *r, struct replica_now now, int status)
{
    r->now = now;
    if (status == HF_EDISKFULL) {
        r->disk_full = true;
        r->flush_ready = true;
        r->flush_retry_ms = now.elapsed_ms + FLUSH_RETRY_MS;
        return HF_OK;
    }
    if (status != HF_OK) return status;

    int rv = store_flush_done(r->store);
    if (rv != HF_OK) return rv;
    r->flush_retry_ms = 0;
    replica_check_space(r);
    rv = shorten_log(r);
    if (rv != HF_OK || !r->paused) return rv;
    r->paused = false;
    rv = driver_resume(r->driver, now.elapsed_ms);
    return rv == HF_OK ? replica_after_driver(r) : rv;
}
