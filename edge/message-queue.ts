/** A stream's messages between the backend's pace and a reader's. */
export interface MessageQueue {
  push(message: Buffer): void;
  /** Ends the messages, with an error where there is one. */
  end(error: Error | undefined): void;
  /** The messages in order; one reader only. */
  messages(): AsyncGenerator<Buffer>;
}

/** The source of a queue, told to wait while messages lie unread. */
export interface PausableSource {
  pause(): void;
  resume(): void;
}

/** Creates a queue that pauses its source while anything is unread: it holds at most what one chunk brought. */
export function createMessageQueue(source: PausableSource): MessageQueue {
  const unread: Buffer[] = [];
  let ended = false;
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  const notify = (): void => {
    wake?.();
    wake = undefined;
  };
  return {
    push(message) {
      unread.push(message);
      source.pause();
      notify();
    },
    end(error) {
      ended = true;
      failure = error;
      notify();
    },
    async *messages() {
      while (true) {
        const next = unread.shift();
        if (next !== undefined) yield next;
        else if (ended) break;
        else {
          source.resume();
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
      if (failure !== undefined) throw failure;
    },
  };
}
