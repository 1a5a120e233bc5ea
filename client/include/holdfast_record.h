/* holdfast_record.h: more of records: lists through filters, with the keys that were derived for
 * providers.
 *
 * RECONCILING
 *   What waits for a decision is one call: records UNKNOWN for longer than so long, each with who
 *   ran it (client_name, peer), how far it came (checkpoint, external) and, for each step that may
 *   have been sent to a provider, the key that it was sent under. Ask the provider by that key,
 *   then hf_record_resolve().
 *
 * All said in holdfast.h of calls, errors and memory, and in holdfast_async.h of callbacks, holds
 * here too. */
#ifndef HOLDFAST_RECORD_H
#define HOLDFAST_RECORD_H

#include "holdfast_async.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HF_STEPS_MAX = 8 };

/** Which records to list, and what with. Zero it = all of them; what is set must all be true. */
typedef struct hf_record_filter {
    const char *prefix;       /**< Of the key, at most 255 bytes; NULL or "" = any. */
    const char *state;        /**< A word of hf_record_line ("UNKNOWN"); NULL or "" = any. */
    uint64_t older_than_ms;   /**< Unchanged for at least so long; 0 = any. */
    const char *const *steps; /**< For which hf_record_line.derived_keys has a key each; each 1 to
                                   255 bytes of UTF-8; may be NULL. */
    size_t step_count;        /**< Of them, at most HF_STEPS_MAX. */
} hf_record_filter;

/** As hf_record_list(), of those that a filter lets pass, with the derived keys of its steps.
 * Blocks.
 * \param filter  borrowed until return; NULL = all.
 * \param each_cb called on this thread; non-0 stops.
 * \retval HF_EINVAL something of the filter is out of its range.
 * \retval as hf_lock_acquire() for what nothing came of. */
HF_API HF_NODISCARD int hf_record_list_with(hf_client *client, const hf_record_filter *filter,
                                            int (*each_cb)(const hf_record_line *line, void *data),
                                            void *data);

/** As hf_record_list_with(); each_cb as in hf_lock_list_async(). */
HF_API HF_NODISCARD int
hf_record_list_with_async(hf_client *client, const hf_record_filter *filter,
                          int (*each_cb)(const hf_record_line *line, void *data), void *each_data,
                          hf_done_cb done_cb, void *data, hf_call *call);

#ifdef __cplusplus
}
#endif

#endif
