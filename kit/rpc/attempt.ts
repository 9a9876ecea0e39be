import { fromBinary, type Message } from "@bufbuild/protobuf";
import { toServiceError } from "#kit/errors/errors.ts";
import type { Outgoing } from "./outgoing.ts";
import { WireCall } from "./wire-call.ts";

/** Sends a unary call once. Throws the error that it ends with. */
export function attemptUnary(outgoing: Outgoing): Promise<Message> {
  return new Promise((resolve, reject) => {
    const answers: Buffer[] = [];
    new WireCall(outgoing, {
      onMessage: (bytes) => void answers.push(bytes),
      onEnd: (failure) => {
        if (failure !== undefined) reject(failure);
        else settle(outgoing, answers, resolve, reject);
      },
    });
  });
}

function settle(
  { rpc }: Outgoing,
  answers: readonly Buffer[],
  resolve: (answer: Message) => void,
  reject: (error: Error) => void,
): void {
  const [bytes] = answers;
  try {
    if (bytes === undefined || answers.length > 1)
      throw new Error(`${rpc.name} answered ${answers.length} messages, not one`);
    resolve(fromBinary(rpc.output, bytes));
  } catch (error) {
    reject(toServiceError(error));
  }
}
