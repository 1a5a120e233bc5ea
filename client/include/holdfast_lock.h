/* holdfast_lock.h: more of locks: several names at once, and changing between exclusive and shared.
 *
 * SEVERAL NAMES
 *   Who needs several locks asks for all of them in one call: all or nothing, under one fencing
 *   token. Users who do only that can neither deadlock nor starve, in whatever order they name
 *   them. Who acquires one after another may be answered HF_EDEADLOCK (holdfast.h).
 *
 * PERMITS
 *   A counting semaphore: hf_acquire's mode HF_PERMITS with `limit` and `permits`, with one name or
 *   several: of each of them the same permits of the same limit.
 *
 * CHANGING THE MODE
 *   A writer that goes on as a reader keeps its grant and its token with hf_lock_downgrade(); the
 *   sole reader becomes a writer with hf_lock_upgrade(), past all who wait. Two readers that both
 *   want to upgrade are both refused: one has to release first.
 *
 * All said in holdfast.h of calls, errors and memory, and in holdfast_async.h of callbacks, holds
 * here too. None of this is recorded (hf_options.history_path): docs/history-format.md. */
#ifndef HOLDFAST_LOCK_H
#define HOLDFAST_LOCK_H

#include "holdfast_async.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HF_NAMES_MAX = 32 };

/** Acquire all of `names`, or none. Blocks.
 * \param names       each 1 to 255 bytes of UTF-8, in any order; a name that stands twice is
 *                    HF_EINVAL. Borrowed until return.
 * \param name_count  1 to HF_NAMES_MAX.
 * \param how         borrowed; all of it is for each name; NULL = exclusive, try once.
 * \param grant       Out: one for all; one hf_lock_release() gives all back, and what loses one
 *                    loses all. Written only on HF_OK; must outlive `request`, if that was filled.
 * \param request     Out, may be NULL. Filled only on HF_EUNKNOWN.
 * \retval HF_OK       all are held.
 * \retval HF_EBUSY    one of them was held by another owner, or is waited for. Nothing changed.
 * \retval HF_EALREADY this handle holds some of them. Nothing changed: release those first.
 * \retval HF_ELIMIT   one of them is in use with another limit. Nothing changed.
 * \retval as hf_lock_acquire_with() for the rest. */
HF_API HF_NODISCARD int hf_lock_acquire_many(hf_lock *lock, const char *const *names,
                                             size_t name_count, const hf_acquire *how,
                                             hf_grant *grant, hf_request *request);

/** As hf_lock_acquire_many(). `names` and `how` are borrowed until this returns. */
HF_API HF_NODISCARD int hf_lock_acquire_many_async(hf_lock *lock, const char *const *names,
                                                   size_t name_count, const hf_acquire *how,
                                                   hf_grant *grant, hf_request *request,
                                                   hf_done_cb done_cb, void *data, hf_call *call);

/** Let others share what this grant holds exclusively, in all of its names. Blocks. The grant, its
 * token and its lease stay; who waits to share is served. Of a shared grant: HF_OK, nothing
 * changes.
 * \param grant    of this handle; borrowed.
 * \param request  Out, may be NULL. Filled only on HF_EUNKNOWN.
 * \retval HF_OK         it is shared: no other can be exclusive yet, so stop writing before.
 * \retval HF_ELIMIT     somebody waits for permits of one of the names, beside which nothing is
 *                       shared. It stays exclusive.
 * \retval HF_EBADREQUEST the grant is one of permits. Nothing changed.
 * \retval HF_ENOTOWNER  the grant is another handle's. Nothing was sent.
 * \retval HF_ELOST, HF_ESTALE, HF_ENOTHELD, HF_ESESSION it was lost before, as hf_lock_release().
 * \retval HF_EUNKNOWN   no answer in time: take it for shared. Without a request the library
 *                       repeats it until it is answered or the session ends. */
HF_API HF_NODISCARD int hf_lock_downgrade(hf_lock *lock, const hf_grant *grant,
                                          hf_request *request);

/** As hf_lock_downgrade(). `grant` is borrowed until this returns. */
HF_API HF_NODISCARD int hf_lock_downgrade_async(hf_lock *lock, const hf_grant *grant,
                                                hf_request *request, hf_done_cb done_cb, void *data,
                                                hf_call *call);

/** Make a shared grant exclusive, if nobody shares any of its names. Blocks, but never waits for
 * other holders. The token stays, and fences: it is greater than that of every exclusive holder
 * before. Of an exclusive grant: HF_OK, nothing changes.
 * \param grant    of this handle; borrowed.
 * \param request  Out, may be NULL. Filled only on HF_EUNKNOWN.
 * \retval HF_OK            it is exclusive.
 * \retval HF_EUPGRADEBUSY  others share it, or one that was lost and whose lock-delay runs. It
 *                          stays shared: try later; if they may want the same, release it and
 *                          acquire it exclusively instead (and look again at what was read).
 * \retval HF_EOWNERWAITING this handle waits for an acquire. Nothing changed.
 * \retval HF_EUNKNOWN      no answer in time: take it for shared, until a downgrade is HF_OK.
 * \retval as hf_lock_downgrade() for the rest. */
HF_API HF_NODISCARD int hf_lock_upgrade(hf_lock *lock, const hf_grant *grant, hf_request *request);

/** As hf_lock_upgrade(). `grant` is borrowed until this returns. */
HF_API HF_NODISCARD int hf_lock_upgrade_async(hf_lock *lock, const hf_grant *grant,
                                              hf_request *request, hf_done_cb done_cb, void *data,
                                              hf_call *call);

#ifdef __cplusplus
}
#endif

#endif
