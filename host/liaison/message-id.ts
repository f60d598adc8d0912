// Message ids of systemd's journal: 128 bits that name a kind of message (sd_journal_print(3)). Ours are a random UUID (version 4)
// whose last four digits are the number of the message, so that they can be told from the number alone.

const PREFIX = "6f1d0c9b3a724e5f8b46d27c9e1a";

/** `6f1d0c9b3a724e5f8b46d27c9e1a0102` for message 258. */
export const messageId = (number: number): string => `${PREFIX}${number.toString(16).padStart(4, "0")}`;
