import type { ServiceConfig } from "#kit/config/config.ts";
import type { ServiceDefinition } from "#kit/service/service.ts";

interface Query {
  readonly kind: string;
  read(request: unknown, call: unknown): unknown;
}

const isQuery = (handler: unknown): handler is Query => (handler as Partial<Query>).kind === "query";

/** A release of a service that does something more before it answers a method that changes nothing; where that throws, so does the method. */
export function beforeAnswers<Config extends ServiceConfig>(
  released: ServiceDefinition<Config>,
  act: () => Promise<void> | void,
): ServiceDefinition<Config> {
  const change = (handler: unknown): unknown => {
    if (!isQuery(handler)) return handler;
    return {
      ...handler,
      async read(request: unknown, call: unknown) {
        await act();
        return await handler.read(request, call);
      },
    };
  };
  return {
    ...released,
    wire(resources, config) {
      const wiring = released.wire(resources, config);
      const rpcs = wiring.rpcs.map(({ descriptor, handlers }) => ({
        descriptor,
        handlers: Object.fromEntries(
          Object.entries(handlers).map(([name, handler]) => [name, change(handler)]),
        ),
      }));
      return { ...wiring, rpcs };
    },
  };
}
