/* The planted bugs, BUG(number, name, sentence): what is broken, and which promise with it. A
 * number keeps its bug for good. docs/testing.md says how each one is shown. */
#ifndef BASE_PLANTED_BUGS_H
#define BASE_PLANTED_BUGS_H

#define HF_PLANTED_BUGS(BUG)                                                                       \
    BUG(1, VOTE_NOT_SYNCED,                                                                        \
        "term and vote are written but not synced before they are answered: a server that "        \
        "lost power votes twice in one term, and two leaders commit")                              \
    BUG(2, TERM_NOT_SAVED,                                                                         \
        "a new term is saved only with a vote in it: after a restart a server follows a "          \
        "leader that it had left, and its log is of a later term than its vote file")              \
    BUG(3, LOG_NOT_SYNCED,                                                                         \
        "a group of the log counts as durable once it is written, without its sync: what was "     \
        "acknowledged is lost with the power")                                                     \
    BUG(4, ACK_BEFORE_WRITTEN,                                                                     \
        "entries count as durable while they are still queued for the log: what was "              \
        "acknowledged is lost with the process")                                                   \
    BUG(5, ACK_AT_LAST_INDEX,                                                                      \
        "a follower answers an append with the end of its own log instead of what it was "         \
        "compared up to: the leader counts entries that this follower does not hold")              \
    BUG(6, CONFLICT_UNCHECKED,                                                                     \
        "a follower does not compare the term before the entries that it is sent: two logs "       \
        "with other entries at one index are both committed")                                      \
    BUG(7, APPLIED_BEFORE_COMMIT,                                                                  \
        "a leader applies and answers what is durable on its own disk alone: an acknowledged "     \
        "request is gone when another server leads")                                               \
    BUG(8, OWN_CLOCK_IN_LOG,                                                                       \
        "entries carry the leader's own uptime instead of cluster time: with another leader "      \
        "leases end too early, or never")                                                          \
    BUG(9, PAUSE_COUNTED,                                                                          \
        "a leader that wakes from a pause adds all of it to cluster time: whoever could not "      \
        "renew meanwhile is expired (contract, 1)")                                                \
    BUG(10, NO_GRACE,                                                                              \
        "a new leader's time runs on at once: who had no chance to find it is expired "            \
        "(contract, 1)")                                                                           \
    BUG(11, PING_OF_OLDER_TERM,                                                                    \
        "a deposed leader's ping moves the time that the next leader begins with: leases end "     \
        "too early")                                                                               \
    BUG(12, SWEEP_BEFORE_RENEWALS,                                                                 \
        "entries with ops sweep first: a renewal that was read in time loses against the "         \
        "deadline that it renews (contract, 13)")                                                  \
    BUG(13, READ_UNCONFIRMED,                                                                      \
        "a leader answers reads without asking anybody whether it still leads: reads are "         \
        "stale")                                                                                   \
    BUG(14, ROUND_COUNTS_ALL,                                                                      \
        "a round of read confirmation also counts who has no vote: no majority confirms, "         \
        "reads are stale")                                                                         \
    BUG(15, PONG_OF_ANY_TERM,                                                                      \
        "the answer of a server that is in a later term confirms a round: reads are stale")        \
    BUG(16, PONG_ECHOES_TERM,                                                                      \
        "a server answers a ping with the term it was asked in instead of its own: reads are "     \
        "stale")                                                                                   \
    BUG(17, ROUND_TAKES_LATE_READS,                                                                \
        "a read joins the round under way, whose answers may be older than the read: reads "       \
        "are stale")                                                                               \
    BUG(18, READY_BEFORE_OWN_ENTRY,                                                                \
        "a leader serves before an entry of its own term is committed: its commit index is "       \
        "old, and reads are stale")                                                                \
    BUG(19, INCARNATION_UNCHECKED,                                                                 \
        "a server that was made anew under an old id is taken for the one that it replaces: "      \
        "it forgot its votes and its log, and counts for both")                                    \
    BUG(20, MARK_BEHIND_STORE,                                                                     \
        "a checkpoint is marked one entry before what it holds: after a restart that entry is "    \
        "applied twice")                                                                           \
    BUG(21, STORE_PAST_LOG,                                                                        \
        "the store is flushed past the durable log: after a crash it holds what was never "        \
        "committed, and the server cannot go on")                                                  \
    BUG(22, LOG_CUT_TOO_FAR,                                                                       \
        "the log goes once the own store holds it, whoever lacks it: a server that was away "      \
        "never comes back")                                                                        \
    BUG(23, TORN_AS_DATA,                                                                          \
        "a group of the log that lacks sectors is taken as it is: entries that nobody sent "       \
        "are applied")                                                                             \
    BUG(24, ROT_CUT,                                                                               \
        "damage in the log's last file is cut off as if it were a torn write: acknowledged "       \
        "entries are gone and the server votes on")                                                \
    BUG(25, CANCEL_FORGOTTEN,                                                                      \
        "CANCEL of a request that has not come yet leaves nothing behind: the late request "       \
        "has its effect (contract, 2)")                                                            \
    BUG(26, ANSWERS_PER_CONNECTION,                                                                \
        "a session's stored answers go when another connection resumes it: a request whose "       \
        "answer was lost is executed twice")                                                       \
    BUG(27, RETRY_UNDER_NEW_NUMBER,                                                                \
        "the client sends a request again under a new number: one whose answer was lost is "       \
        "executed twice")                                                                          \
    BUG(28, REQUESTS_RENEW_NOTHING,                                                                \
        "only KEEP and RESUME renew a session: one that works and sends no KEEP is expired "       \
        "(contract, 3)")                                                                           \
    BUG(29, RENEWAL_OVERLOOKED,                                                                    \
        "the sweep believes the deadline row and does not look at the session's real "             \
        "deadline: a renewed session is expired")                                                  \
    BUG(30, EXTEND_OVERLOOKED,                                                                     \
        "the sweep does not look whether an attempt was extended: an attempt that runs is "        \
        "taken over")                                                                              \
    BUG(31, TOKEN_REUSED,                                                                          \
        "a release gives the newest fencing token back for the next grant: two grants of a "       \
        "lock have one token")                                                                     \
    BUG(32, OWNERS_AS_ONE,                                                                         \
        "a session's owners are not told apart: two of them hold one lock at a time")              \
    BUG(33, WAITER_OVERTAKEN,                                                                      \
        "ACQUIRE takes a free lock though others wait for it: the queue is not first in, "         \
        "first out")                                                                               \
    BUG(34, WAITERS_NOT_SERVED,                                                                    \
        "the queue of a lock is not served when its holder's session expires: waiters wait "       \
        "for ever")                                                                                \
    BUG(35, SHARED_BESIDE_EXCLUSIVE,                                                               \
        "a SHARED waiter at the head of the queue is granted beside the EXCLUSIVE holder")         \
    BUG(36, STALE_RELEASE_FREES,                                                                   \
        "RELEASE looks at the name and not at the token: an old one frees a newer grant")          \
    BUG(37, FIRST_RELEASE_FREES,                                                                   \
        "the first of several releases of a reentrant grant frees the lock")                       \
    BUG(38, DELAY_IGNORED, "a lock that was lost is granted again before its lock-delay is over")  \
    BUG(39, STALE_COMPLETION,                                                                      \
        "COMPLETE is taken from an attempt that was taken over: its result replaces the "          \
        "current one's")                                                                           \
    BUG(40, TAKEOVER_KEEPS_TOKEN,                                                                  \
        "the next attempt at a record has the token of the one before it: nobody can tell the "    \
        "two apart")                                                                               \
    BUG(41, MARK_IGNORED,                                                                          \
        "an attempt that lost its lease with an open mark of an effect is given to the next "      \
        "one instead of becoming UNKNOWN: the effect happens twice")                               \
    BUG(42, MARKED_REAPED,                                                                         \
        "retention reaps a lapsed attempt that made a mark: its effect is forgotten, and "         \
        "happens twice")                                                                           \
    BUG(43, MISMATCH_REPLAYED,                                                                     \
        "BEGIN does not compare the fingerprint: another request gets this one's result")          \
    BUG(44, RENEWED_BY_SENDING,                                                                    \
        "the client counts a renewal from its sending, acknowledged or not: it believes in a "     \
        "lease that has ended")                                                                    \
    BUG(45, LEASE_FROM_ANSWER,                                                                     \
        "the client counts a lease from the answer instead of from the sending: it believes "      \
        "in it longer than it lasts")                                                              \
    BUG(46, ANSWERS_DROPPED,                                                                       \
        "a checkpoint drops the stored answers: a request that is repeated after it is executed "  \
        "twice")                                                                                   \
    BUG(47, PARTIAL_MULTI,                                                                         \
        "an ACQUIRE of several names is granted as soon as the first of them is free: two owners " \
        "hold one lock")                                                                           \
    BUG(48, MULTI_OVERTAKEN,                                                                       \
        "ACQUIRE takes a lock past one who waits for it and for another one: whoever wants both "  \
        "starves")                                                                                 \
    BUG(49, PERMITS_OVER_LIMIT,                                                                    \
        "permits are granted while any unit is left: more are out than the lock has")              \
    BUG(50, DEADLOCK_MISSED,                                                                       \
        "the search for a deadlock looks at holders only: a cycle through the queue is not seen, " \
        "and its owners wait for each other")                                                      \
    BUG(51, UPGRADE_BESIDE_HOLDERS,                                                                \
        "UPGRADE does not look whether others share the lock: it is exclusive beside them")        \
    BUG(60, TOMBSTONE_REEXECUTED,                                                                  \
        "retention leaves no tombstone behind: a late repeat of what was done is executed "        \
        "again (contract, 6)")                                                                     \
    BUG(61, TOMBSTONE_FINGERPRINT,                                                                 \
        "BEGIN does not compare the fingerprint with a tombstone's: another request is told "      \
        "that it was done")                                                                        \
    BUG(62, OLD_TERMS_COUNTED,                                                                     \
        "a leader commits what a majority holds of older terms before an entry of its own: "       \
        "another leader may still replace what was acknowledged")                                  \
    BUG(63, SETTINGS_FROM_FILE,                                                                    \
        "apply reads settings as they were when this process started, not as the log has set "     \
        "them: servers decide differently")                                                        \
    BUG(64, FROZEN_SERVED,                                                                         \
        "queues under a frozen prefix are served: what an administrator stopped goes on")          \
    BUG(65, FORCE_BEFORE_KNOWN,                                                                    \
        "a lock that was forced is granted on before its holder knows: two believe in it")         \
    BUG(66, REVOKE_FORGOTTEN,                                                                      \
        "the end of a REVOKE's grace is forgotten: who does not give the lock back keeps it")      \
    BUG(67, REVOKE_NOT_WAITED,                                                                     \
        "a grant whose grace is over is forced without waiting until its holder knows: two "       \
        "believe in the lock")                                                                     \
    BUG(68, CAP_NOT_COUNTED_DOWN,                                                                  \
        "what a session held when it expired counts as its principal's for ever")                  \
    BUG(69, CAP_BEFORE_KNOWN,                                                                      \
        "OPEN looks at the cap before it looks whether the session is there: a repeated one is "   \
        "told that nothing was done")                                                              \
    BUG(80, TIMER_LOST, "a timer that is replaced before its time never fires")                    \
    BUG(81, FIRED_AND_CANCELLED,                                                                   \
        "CANCEL takes a timer that has fired and waits in its group's queue for a pending one: "   \
        "it is cancelled, and others were told that it fired (contract, 8)")                       \
    BUG(82, FIRED_EARLY,                                                                           \
        "a timer's time is rounded down to a tenth of a second: it fires before it has come")      \
    BUG(83, DELIVERED_AFTER_ACK,                                                                   \
        "an ACK that comes after its delivery's lease leaves the timer in the queue: what was "    \
        "acknowledged is given out again")                                                         \
    BUG(84, NACK_NOT_COUNTED,                                                                      \
        "a delivery that was given back is none of the attempts: a timer that nobody can take "    \
        "never dies")                                                                              \
    BUG(85, ACKED_SET_AGAIN,                                                                       \
        "SET does not look at the version of a timer that was acknowledged: a late one runs it "   \
        "again")                                                                                   \
    BUG(86, HANGING_TRIED,                                                                         \
        "a try that comes after its branch's cancel is executed: nobody will ever undo it "        \
        "(contract, 7)")                                                                           \
    BUG(87, EMPTY_ROLLBACK_FORGOTTEN,                                                              \
        "a cancel of a branch that was never tried leaves nothing behind: the late try is "        \
        "executed, and nobody will ever undo it")                                                  \
    BUG(88, FAILED_TRY_NEVER_CAME,                                                                 \
        "a try that failed is forgotten: its repeat is executed again, after its failure was "     \
        "told")                                                                                    \
    BUG(89, PHASE_KEEPS_TOKEN,                                                                     \
        "the next phase of a branch has the token of the one before it: a late try passes the "    \
        "guard after the cancel")                                                                  \
    BUG(90, CONFIRM_AFTER_CANCEL,                                                                  \
        "a branch that was cancelled is confirmed: what was given back is given away")             \
    BUG(91, EVENT_GAP_UNTOLD,                                                                      \
        "a watch that asks for events that are kept no longer gets the oldest that are, and is "   \
        "not told of the gap (contract, 8)")                                                       \
    BUG(92, EVENT_TOLD_TWICE,                                                                      \
        "a full answer to a watch says to ask on from its last event: that is told twice")         \
    BUG(93, EVENT_UNDONE_UNTOLD,                                                                   \
        "a watch goes on over a restore as if nothing that it was told had been undone")           \
    BUG(94, WATCH_UNCONFIRMED,                                                                     \
        "a watch is answered without asking whether this server still leads: a deposed one says "  \
        "that nothing happened (contract, 8)")                                                     \
    BUG(95, WATCH_MARK_SKIPS,                                                                      \
        "a mark is told of where now is: what happened while it was being confirmed is passed "    \
        "over")                                                                                    \
    BUG(96, TXN_HALF_APPLIED,                                                                      \
        "what a TXN did before one of its ops was refused stays done (contract, 8)")               \
    BUG(97, TXN_EVIDENCE_LOST,                                                                     \
        "a TXN that is taken back takes the evidence of its late COMPLETE along: nobody hears of " \
        "the double effect")                                                                       \
    BUG(98, TXN_GRANTS_EARLY,                                                                      \
        "a lock that a TXN releases is granted on before the TXN stands: it is taken back, and "   \
        "two believe in the lock")                                                                 \
    BUG(99, TXN_GUARD_LATE,                                                                        \
        "the guard of a TXN's BEGIN is looked at after the TXN's own RELEASE of it, which makes "  \
        "it stale")

#endif
