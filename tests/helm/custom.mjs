// Checks the Prometheus operator's objects, a JSON list on stdin, against the operator's own schema.
// Prints a JSON list: null for a good object, else what is wrong with it.
import { readFileSync } from "node:fs";
import * as models from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const verdict = (object) => {
  const Model = models[object.kind];
  if (!Model) return `there is no model of ${object.kind}`;
  try {
    new Model(object).validate();
    return null;
  } catch (error) {
    return error.message;
  }
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(verdict)));
