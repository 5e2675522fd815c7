import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "./",
  plugins: [react()],
  build: {
    assetsDir: "page",
    assetsInlineLimit: 0,
    manifest: true,
    modulePreload: false,
    target: "es2023",
  },
  test: {
    environment: "happy-dom",
    include: ["tests/**/*.test.{ts,tsx}"],
    testTimeout: 30_000,
    env: { TZ: "UTC", LANG: "en_GB.UTF-8" },
  },
});
