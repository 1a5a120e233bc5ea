/* Branches for tests: requests under one session each, and a branch brought to a state. */
#ifndef TESTS_UNIT_MACHINE_BRANCH_RIG_H
#define TESTS_UNIT_MACHINE_BRANCH_RIG_H

#include "base/status.h"
#include "protocol/messages.h"
#include "tests/unit/machine/fixture.h"

enum { RIG_LEASE_MS = 10000, RIG_RETAIN_MS = 60000 };

/** A session and the number of its next request. */
struct rig {
    struct fixture *f; /**< borrowed */
    uint64_t session;  /**< open, with a long lease */
    uint64_t seq;      /**< last number used */
};

/** What BRANCH answered. */
struct verdict {
    int status;                    /**< of the answer */
    struct msg_branch_reply reply; /**< on HF_OK */
    struct msg_branch_state state; /**< beside a refusal that tells it */
    struct msg_running running;    /**< beside HF_ERUNNING */
};

/** Another session of the same fixture. */
struct rig rig_open(struct fixture *f, const char *name);

/** BRANCH of (gid, "debit"), step "take", the usual fingerprint. */
struct msg_branch rig_request(const char *gid, uint64_t op);
struct verdict rig_ask(struct rig *r, const char *gid, uint64_t op);
struct verdict rig_send(struct rig *r, const struct msg_branch *request);
struct verdict rig_read_verdict(struct rig *r, const struct answer *a);

/** The same; it must be EXECUTE. \return its token */
uint64_t rig_execute(struct rig *r, const char *gid, uint64_t op);

/** BRANCH_DONE with code 7 and this body. \return its status */
int rig_done(struct rig *r, const char *gid, uint64_t token, uint64_t outcome, const char *body);

/** Bring a fresh branch to a state. \return the token of its last phase, 0 for BRANCH_NONE */
uint64_t rig_bring(struct rig *r, const char *gid, uint64_t state);

/** BRANCH_GET; its status. */
int rig_get(struct rig *r, const char *gid, struct msg_branch_info *info);

/** The state that BRANCH_GET shows. */
uint64_t rig_state(struct rig *r, const char *gid);

#endif
