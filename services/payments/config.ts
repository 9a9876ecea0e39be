import { type Environment, envReader } from "#kit/config/config.ts";
