import { readFileSync, writeFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { defineConfig } from 'vitest/config'
import type { Plugin } from 'vite'

/** Writes `.br` and `.gz` beside every asset that is text, so that the server has nothing to compress. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    closeBundle() {
      const folder = 'dist/assets'
      for (const name of readdirSync(folder).filter((one) => /\.(js|css|svg|json)$/.test(one))) {
        const path = join(folder, name)
        const content = readFileSync(path)
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }))
        writeFileSync(
          `${path}.br`,
          brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
        )
      }
    },
  }
}

export default defineConfig({
  esbuild: { jsx: 'automatic' },
  // the server puts a new nonce in its place with every answer
  html: { cspNonce: '__CSP_NONCE__' },
  plugins: [compressed()],
  build: {
    target: 'es2022', chunkSizeWarningLimit: 1_200, assetsInlineLimit: 0, modulePreload: { polyfill: false },
    rollupOptions: {
      onwarn: (warning, warn) => {
        // libraries mark modules for servers that render; nothing is rendered on a server here
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning)
      },
    },
  },
  server: {
    // the origin check of the console compares Origin with Host, which therefore stays as it is
    proxy: { '/api': { target: process.env.TONGSHU_CONSOLE ?? 'http://127.0.0.1:8900', changeOrigin: false } },
  },
  test: { include: ['src/**/*.test.ts'] },
})
