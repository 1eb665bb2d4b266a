"""Post-processes images: upscaling, outpainting, watermarks, grids. `upscale` imports torch."""
