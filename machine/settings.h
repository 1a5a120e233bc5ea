/* Replicated settings (docs/contract.md, section 9): every number that apply reads and people may
 * change, by name, in one table. CONFIG_SET changes one by an entry, so all servers change at the
 * same place in the log; a value is in the state and in no file. What was never set has its
 * default. A setting stands here only if something obeys it.
 *
 * Failure mode: a store with a setting that this program does not know was written by a newer one:
 * HF_EVERSION, for to ignore it would be to disagree with those who obey it. */
#ifndef MACHINE_SETTINGS_H
#define MACHINE_SETTINGS_H

#include <stdint.h>

#include "base/assert.h"
#include "protocol/limits.h"

#define SETTING_DAY_MS    UINT64_C(86400000)
#define SETTING_BYTES_MAX (UINT64_C(64) << 30) /* of one principal's records, unless set */

/* SETTING(NAME, "name as stored and typed", min, max, default, "what it is"). Names are stored:
 * never give one another meaning. */
#define HF_SETTINGS(SETTING)                                                                     \
    SETTING(GRACE_MS, "grace_ms", 100, 60000, 2000,                                              \
            "cluster time stands still so long after a new leader or a stall")                   \
    SETTING(KEY_AGE_MS_MAX, "key_age_ms_max", 60000, 3650 * SETTING_DAY_MS, 30 * SETTING_DAY_MS, \
            "a BEGIN that was born earlier is KEY_TOO_OLD")                                      \
    SETTING(TOMBSTONE_FACTOR, "tombstone_factor", 1, 100, 10,                                    \
            "a record's tombstone lives so many times its retention")                            \
    SETTING(PRINCIPAL_SESSIONS_MAX, "principal_sessions_max", 1, TIME_MS_MAX, 100000,            \
            "sessions of one principal; one more OPEN is QUOTA")                                 \
    SETTING(PRINCIPAL_NAMES_MAX, "principal_names_max", 1, TIME_MS_MAX, 1000000,                 \
            "names that one principal holds or waits for; more are QUOTA")                       \
    SETTING(PRINCIPAL_RECORDS_MAX, "principal_records_max", 1, TIME_MS_MAX, 1000000,             \
            "records of one principal without an outcome; a new one more is QUOTA")              \
    SETTING(PRINCIPAL_BYTES_MAX, "principal_bytes_max", 4096, TIME_MS_MAX, SETTING_BYTES_MAX,    \
            "bytes stored of one principal's records; once there a new one is QUOTA")            \
    SETTING(PRINCIPAL_TIMERS_MAX, "principal_timers_max", 1, TIME_MS_MAX, 10000000,              \
            "timers of one principal, tombstones counted; a new one more is QUOTA")              \
    SETTING(TIMER_TOMBSTONE_MS, "timer_tombstone_ms", SETTING_DAY_MS, RETAIN_MS_MAX,             \
            SETTING_DAY_MS, "a timer that was acknowledged or cancelled is known so long")       \
    SETTING(LOCK_WAITERS_MAX, "lock_waiters_max", 1, LOCK_WAITERS_MAX, LOCK_WAITERS_MAX,         \
            "requests that wait for one lock; one more is QUOTA")                                \
    SETTING(EVENTS_WINDOW, "events_window", 1000, 10000000, 1000000,                             \
            "events that are kept; a watch that asks for older ones is told of a gap")

#define SETTING_ENUM(NAME, name, min, max, initial, about) SETTING_##NAME,
enum setting { HF_SETTINGS(SETTING_ENUM) SETTING_COUNT };
#undef SETTING_ENUM

/** One row of the table. */
struct setting_info {
    const char *name;  /**< as stored and typed */
    uint64_t min;      /**< least value */
    uint64_t max;      /**< greatest value */
    uint64_t initial;  /**< where nobody has set it */
    const char *about; /**< what it is, for people */
};

/** What a setting is. Static; asserts that there is such a one. */
const struct setting_info *setting_find(enum setting setting);

struct machine;
struct op_context;
struct reply_out;

/** What it is set to, or its default. */
uint64_t setting_get(const struct machine *m, enum setting setting);

/** The least that it ever was, its default included: what was decided under it may still stand. */
uint64_t setting_lowest(const struct machine *m, enum setting setting);

/** Read all into the machine, as it is opened. \retval HF_EVERSION one that is not known here. */
HF_MUST_USE
int settings_load(struct machine *m);

/* Handlers; see struct op_owner. */
HF_MUST_USE
int setting_config_set(struct machine *m, const struct op_context *ctx, const void *request,
                       struct reply_out *out);
HF_MUST_USE
int setting_config_get(struct machine *m, const void *request, uint64_t elapsed_ms,
                       struct reply_out *out);

#endif
