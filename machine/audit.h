/* What the invariants' files share: counting rows, asking for rows, complaining. */
#ifndef MACHINE_AUDIT_H
#define MACHINE_AUDIT_H

#include "machine/invariants.h"
#include "machine/state.h"

struct audit {
    struct machine *m;        /**< borrowed; no op is being applied */
    struct buffer *complaint; /**< borrowed */
    uint64_t units_forced;    /**< of forced grants, less those that locks count */
};

/** Look at one row of a table; key and value are in scratch. */
typedef int audit_cb(struct audit *a, struct slice key, struct slice value);

/** Call `look` for every row of a table whose key begins with `prefix` (NULL = all), as long as it
 * answers HF_OK. */
HF_MUST_USE
int audit_rows(struct audit *a, enum machine_table table, const struct row_key *prefix,
               audit_cb *look);

/** Count the rows whose keys begin with `prefix`. */
HF_MUST_USE
int audit_count(struct audit *a, enum machine_table table, const struct row_key *prefix,
                uint64_t *count);

/** Append one sentence to the complaint and answer HF_ECORRUPT. */
__attribute__((format(printf, 2, 3))) int audit_fail(struct audit *a, const char *format, ...);

/** Complain if a row is not there. \param what the claim that it proves wrong. */
HF_MUST_USE
int audit_has(struct audit *a, enum machine_table table, struct slice key, const char *what);

/** Complain if a deadline row is not there. */
HF_MUST_USE
int audit_has_deadline(struct audit *a, uint64_t at_ms, enum deadline_kind kind, struct slice id);

/** For printf's "%.*s". */
#define AUDIT_TEXT(slice) (int)(slice).size, (const char *)(slice).data

/* Each reads the tables of its kind of thing. */
HF_MUST_USE
int audit_sessions(struct audit *a);
HF_MUST_USE
int audit_locks(struct audit *a);
HF_MUST_USE
int audit_waiting(struct audit *a);
HF_MUST_USE
int audit_admin(struct audit *a);
HF_MUST_USE
int audit_branches(struct audit *a);
HF_MUST_USE
int audit_principals(struct audit *a);
HF_MUST_USE
int audit_events(struct audit *a);
HF_MUST_USE
int audit_timers(struct audit *a);

#endif
