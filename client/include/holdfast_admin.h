/* holdfast_admin.h: what administrators do, for tools: the cluster's settings, freezing,
 * and the audit of all such acts.
 *
 * An act wants a reason and who decided it; both are kept. Each call has its asynchronous twin
 * beside it: the same arguments, then done_cb, data and call (holdfast_async.h says how they end).
 * Whoever reaches the cluster's port can act: there is no authentication yet. */
#ifndef HOLDFAST_ADMIN_H
#define HOLDFAST_ADMIN_H

#include "holdfast_async.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ================================================================== settings */

/** A replicated setting. Strings are borrowed during the callback. */
typedef struct hf_setting {
    const char *name;  /**< As stored and typed. */
    uint64_t value;    /**< What it is now. */
    uint64_t initial;  /**< What it is where nobody has set it. */
    uint64_t min;      /**< Least value. */
    uint64_t max;      /**< Greatest value. */
    uint64_t changes;  /**< How often it was set; 0 = never. */
    const char *about; /**< What it is, for people. */
} hf_setting;

/** Show one setting, or all. Blocks.
 * \param name     as typed; "" = all. \param each_cb called on this thread; non-0 stops.
 * \retval HF_EBADREQUEST there is no setting of this name.
 * \retval HF_EINVAL name is longer than 255 bytes, or no UTF-8. */
HF_API HF_NODISCARD int hf_config_get(hf_client *client, const char *name,
                                      int (*each_cb)(const hf_setting *setting, void *data),
                                      void *data);
HF_API HF_NODISCARD int hf_config_get_async(hf_client *client, const char *name,
                                            int (*each_cb)(const hf_setting *setting, void *data),
                                            void *each_data, hf_done_cb done_cb, void *data,
                                            hf_call *call);

/** Set one, on all servers at the same place in the log. Blocks.
 * \param name           1 to 255 bytes of UTF-8. \param value in the setting's range. \param
 * expected NULL, or what it must be now, so that of two administrators neither overwrites what the
 * other has just set. \param reason         why, 1 to 1,024 bytes, kept. \param operator_name who,
 * 1 to 255 bytes. \param request        Out, may be NULL. Written only on HF_EUNKNOWN. \retval
 * HF_ECHANGED    it is not `expected` any more. Nothing changed: look again. \retval HF_EBADREQUEST
 * there is no such setting, or the value is out of its range. */
HF_API HF_NODISCARD int hf_config_set(hf_client *client, const char *name, uint64_t value,
                                      const uint64_t *expected, const char *reason,
                                      const char *operator_name, hf_request *request);
HF_API HF_NODISCARD int hf_config_set_async(hf_client *client, const char *name, uint64_t value,
                                            const uint64_t *expected, const char *reason,
                                            const char *operator_name, hf_request *request,
                                            hf_done_cb done_cb, void *data, hf_call *call);

/* ================================================================== freezing */

/** Let nothing new begin under a prefix of locks' names and records' keys: who asks is told
 * HF_EFROZEN, who waits goes on waiting; holders keep, renew and give back. Repeating it changes
 * nothing. Blocks.
 * \param prefix 0 to 255 bytes of UTF-8; "" = everything.
 * \param reason why, 1 to 1,024 bytes, kept. \param operator_name who, 1 to 255 bytes, kept.
 * \param request Out, may be NULL. Written only on HF_EUNKNOWN.
 * \retval HF_EQUOTA 64 prefixes are frozen: thaw one. */
HF_API HF_NODISCARD int hf_freeze(hf_client *client, const char *prefix, const char *reason,
                                  const char *operator_name, hf_request *request);
HF_API HF_NODISCARD int hf_freeze_async(hf_client *client, const char *prefix, const char *reason,
                                        const char *operator_name, hf_request *request,
                                        hf_done_cb done_cb, void *data, hf_call *call);

/** End a freeze: who waits is served. What another frozen prefix covers stays frozen. Blocks.
 * \param prefix exactly as it was frozen. \param reason as in hf_freeze().
 * \param operator_name as in hf_freeze(). \param request as in hf_freeze().
 * \retval HF_ENOTFOUND it is not frozen. */
HF_API HF_NODISCARD int hf_thaw(hf_client *client, const char *prefix, const char *reason,
                                const char *operator_name, hf_request *request);
HF_API HF_NODISCARD int hf_thaw_async(hf_client *client, const char *prefix, const char *reason,
                                      const char *operator_name, hf_request *request,
                                      hf_done_cb done_cb, void *data, hf_call *call);

/** A frozen prefix. Strings are borrowed during the callback. */
typedef struct hf_frozen {
    const char *prefix;        /**< "" = everything. */
    uint64_t since_ms;         /**< Cluster time. */
    uint64_t wall_ms;          /**< The leader's wall clock then, milliseconds since 1970. */
    const char *operator_name; /**< Who froze it. */
    const char *reason;        /**< Why. */
} hf_frozen;

/** Show all frozen prefixes, in order. Blocks. \param each_cb as in hf_config_get().
 * \retval as hf_lock_acquire() for what nothing came of. */
HF_API HF_NODISCARD int
hf_frozen_list(hf_client *client, int (*each_cb)(const hf_frozen *frozen, void *data), void *data);
HF_API HF_NODISCARD int hf_frozen_list_async(hf_client *client,
                                             int (*each_cb)(const hf_frozen *frozen, void *data),
                                             void *each_data, hf_done_cb done_cb, void *data,
                                             hf_call *call);

/* ================================================================== forcing */

/** End a grant that its holder does not give back. The lock stays closed until the holder has heard
 * of it (its lost_cb was called) or its session's lease, as it stood, is over, and for the grant's
 * lock-delay at least. Blocks.
 * \param name          one of its locks, 1 to 255 bytes of UTF-8.
 * \param fencing_token the grant's, as seen (`holdfast locks NAME --queue`).
 * \param now           1 = grant on at once: two may believe in it, only tokens tell them apart.
 * \param reason        why, 8 to 1,024 bytes, kept.
 * \param operator_name who, 1 to 255 bytes, kept.
 * \param request       Out, may be NULL. Written only on HF_EUNKNOWN.
 * \retval HF_ESTALE    another token holds it, or none. Nothing changed: look again. */
HF_API HF_NODISCARD int hf_force(hf_client *client, const char *name, uint64_t fencing_token,
                                 int now, const char *reason, const char *operator_name,
                                 hf_request *request);
HF_API HF_NODISCARD int hf_force_async(hf_client *client, const char *name, uint64_t fencing_token,
                                       int now, const char *reason, const char *operator_name,
                                       hf_request *request, hf_done_cb done_cb, void *data,
                                       hf_call *call);

/* ================================================================== asking back */

enum {
    HF_THEN_FORCE = 0, /**< At the end of the grace, hf_force() without now. */
    HF_THEN_ALARM = 1, /**< The grant stays, and is shown and logged as overdue. */
};

/** Ask the holder of a grant to give it back. Its client hears of it with its next renewal (a third
 * of its session's ttl at most, while it can reach a server) and calls its asked_cb; who does not
 * listen keeps the grant until the grace is over. What became of it is an act of the audit. A later
 * hf_revoke() of the same grant replaces this one, sooner or later. Blocks.
 * \param name          one of its locks, 1 to 255 bytes of UTF-8.
 * \param fencing_token the grant's, as seen (`holdfast locks NAME --queue`).
 * \param grace_ms      1 to 86,400,000; below a third of the holder's ttl it may hear too late.
 * \param then          HF_THEN_FORCE or HF_THEN_ALARM, when the grace is over.
 * \param reason        why, 8 to 1,024 bytes, kept.
 * \param operator_name who, 1 to 255 bytes, kept.
 * \param request       Out, may be NULL. Written only on HF_EUNKNOWN.
 * \retval HF_ESTALE    another token holds it, or none. Nothing changed: look again. */
HF_API HF_NODISCARD int hf_revoke(hf_client *client, const char *name, uint64_t fencing_token,
                                  uint64_t grace_ms, int then, const char *reason,
                                  const char *operator_name, hf_request *request);
HF_API HF_NODISCARD int hf_revoke_async(hf_client *client, const char *name, uint64_t fencing_token,
                                        uint64_t grace_ms, int then, const char *reason,
                                        const char *operator_name, hf_request *request,
                                        hf_done_cb done_cb, void *data, hf_call *call);

/* ================================================================== audit */

/** What an administrator did. Strings are borrowed during the callback. */
typedef struct hf_act {
    uint64_t number;           /**< Rises by one an act. */
    uint64_t at_ms;            /**< Cluster time. */
    uint64_t wall_ms;          /**< The leader's wall clock, milliseconds since 1970. */
    uint64_t session;          /**< Of the client. */
    const char *client_name;   /**< The session's name. */
    const char *principal;     /**< Who was authenticated; "anonymous" until there is that. */
    const char *peer;          /**< The client's address. */
    const char *operator_name; /**< Who decided, as told. */
    const char *act;           /**< The contract's word: "CONFIG_SET", "RESOLVE", ... */
    const char *name;          /**< Of the setting, record, ... */
    const char *reason;        /**< Why; "" for RESOLVE, whose evidence is the record's. */
    const char *before;        /**< For people. */
    const char *after;         /**< For people. */
} hf_act;

/** Show what administrators did, oldest first, of the last 10,000 acts; reads page after page.
 * Blocks.
 * \param since only acts behind this number; 0 = all. \param each_cb as in hf_config_get().
 * \retval as hf_lock_acquire() for what nothing came of. */
HF_API HF_NODISCARD int hf_audit_list(hf_client *client, uint64_t since,
                                      int (*each_cb)(const hf_act *act, void *data), void *data);
HF_API HF_NODISCARD int hf_audit_list_async(hf_client *client, uint64_t since,
                                            int (*each_cb)(const hf_act *act, void *data),
                                            void *each_data, hf_done_cb done_cb, void *data,
                                            hf_call *call);

#ifdef __cplusplus
}
#endif

#endif
