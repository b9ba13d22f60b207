-- A read-only S3 service whose objects are computed from their numbers.
-- The listing of a bucket stands in one file of records of one width, written by datasets.py, so that a page of a
-- listing is one slice of that file. Signatures are not looked at.

local server = {}

local TAIL_BYTES = 32
local LAST_MODIFIED = "Fri, 02 Jan 2026 03:04:05 GMT"
local MAX_KEYS = 1000
local XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
local NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

local folder
local filler
local buckets = {}

function server.start(datasets)
  folder = datasets
  local file = assert(io.open(folder .. "/filler.bin", "rb"))
  filler = file:read("*a")
  file:close()
end

local function open_bucket(name)
  local known = buckets[name]
  if known then
    return known
  end
  local count, size = name:match("^objects%-(%d+)%-of%-(%d+)")
  if not count then
    return nil
  end
  local file = io.open(folder .. "/objects-" .. count .. "-of-" .. size .. ".entries", "rb")
  if not file then
    return nil
  end
  known = {
    name = name,
    count = tonumber(count),
    width = file:seek("end") / tonumber(count),
    file = file,
    latency = (tonumber(name:match("%-after%-(%d+)ms$")) or 0) / 1000,
  }
  buckets[name] = known
  return known
end

local function key_of(n)
  return string.format("data/%03d/%06d.bin", math.floor(n / 1000), n)
end

local function entries(bucket, first, last)
  bucket.file:seek("set", first * bucket.width)
  return bucket.file:read((last - first) * bucket.width)
end

-- The number of keys that are smaller than the text.
local function rank(bucket, text)
  local low, high = 0, bucket.count
  while low < high do
    local middle = math.floor((low + high) / 2)
    if key_of(middle) < text then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local function fail(status, code)
  ngx.status = status
  ngx.header["Content-Type"] = "application/xml"
  local body = XML .. "<Error><Code>" .. code .. "</Code><Message>" .. code .. "</Message></Error>"
  ngx.header["Content-Length"] = #body
  if ngx.req.get_method() ~= "HEAD" then
    ngx.print(body)
  end
end

local function element(name, text)
  return "<" .. name .. ">" .. text .. "</" .. name .. ">"
end

-- Walks folders: each step is one binary search, however many keys the folder has.
local function list_folders(bucket, first, stop, prefix, delimiter, limit)
  local parts, n, found, last_key = {}, first, 0, nil
  while n < stop and found < limit do
    local key = key_of(n)
    local cut = key:find(delimiter, #prefix + 1, true)
    if cut then
      local common = key:sub(1, cut + #delimiter - 1)
      parts[#parts + 1] = "<CommonPrefixes>" .. element("Prefix", common) .. "</CommonPrefixes>"
      n = rank(bucket, common .. "\255")
      last_key = common .. "\255"
      found = found + 1
    else
      -- All that is left lies in this folder, since folders hold no folders beside files.
      local upto = math.min(stop, n + limit - found)
      parts[#parts + 1] = entries(bucket, n, upto)
      found = found + upto - n
      n = upto
      last_key = key_of(upto - 1)
    end
  end
  return parts, n, found, last_key
end

local function list(bucket, args)
  ngx.header["Content-Type"] = "application/xml"
  local prefix = type(args.prefix) == "string" and args.prefix or ""
  local delimiter = type(args.delimiter) == "string" and args.delimiter or ""
  local limit = math.min(tonumber(args["max-keys"]) or MAX_KEYS, MAX_KEYS)
  local token = args["continuation-token"]
  local after = token and ngx.decode_base64(token) or args["start-after"] or args.marker
  local first = rank(bucket, prefix)
  local stop = rank(bucket, prefix .. "\255")
  if type(after) == "string" and after ~= "" then
    first = math.max(first, rank(bucket, after .. "\0"))
  end
  local parts, next_n, found, last_key
  if delimiter ~= "" then
    parts, next_n, found, last_key = list_folders(bucket, first, stop, prefix, delimiter, limit)
  else
    next_n = math.max(first, math.min(stop, first + limit))
    found = next_n - first
    parts = { found > 0 and entries(bucket, first, next_n) or "" }
    last_key = found > 0 and key_of(next_n - 1) or nil
  end
  local truncated = next_n < stop and last_key ~= nil
  local head = {
    XML, "<ListBucketResult", NAMESPACE, ">", element("Name", bucket.name), element("Prefix", prefix),
    element("KeyCount", found), element("MaxKeys", limit), element("IsTruncated", tostring(truncated)),
  }
  if delimiter ~= "" then
    head[#head + 1] = element("Delimiter", delimiter)
  end
  if args["encoding-type"] == "url" then
    head[#head + 1] = element("EncodingType", "url")
  end
  if truncated then
    head[#head + 1] = element("NextContinuationToken", ngx.encode_base64(last_key))
  end
  local body = { table.concat(head), table.concat(parts), "</ListBucketResult>" }
  ngx.header["Content-Length"] = #body[1] + #body[2] + #body[3]
  ngx.print(body)
end

-- Sends bytes first..last (counted from 0, inclusive) of an object: filler, then its number.
local function send(size, tail, first, last)
  local filled = size - TAIL_BYTES
  local at = first
  while at <= last do
    if at < filled then
      local offset = at % #filler
      local length = math.min(#filler - offset, filled - at, last + 1 - at)
      ngx.print(length == #filler and filler or filler:sub(offset + 1, offset + length))
      at = at + length
      if last - at > #filler then
        ngx.flush(true)
      end
    else
      ngx.print(tail:sub(at - filled + 1, last - filled + 1))
      at = last + 1
    end
  end
end

local function object(bucket, key)
  local n = tonumber(key:match("^data/%d%d%d/(%d+)%.bin$"))
  if not n or n >= bucket.count or key_of(n) ~= key then
    return fail(404, "NoSuchKey")
  end
  local etag, size = entries(bucket, n, n + 1):match("&quot;(%x+)&quot;</ETag><Size>(%d+)<")
  size = tonumber(size)
  local match = ngx.var.http_if_match
  if match and match:gsub('"', "") ~= etag then
    return fail(412, "PreconditionFailed")
  end
  local header = ngx.header
  header["Content-Type"] = "application/octet-stream"
  header["ETag"] = '"' .. etag .. '"'
  header["Last-Modified"] = LAST_MODIFIED
  header["Accept-Ranges"] = "bytes"
  local first, last = 0, size - 1
  local range = ngx.var.http_range
  if range then
    local from, upto = range:match("^bytes=(%d+)%-(%d*)$")
    if from then
      first = tonumber(from)
      last = math.min(tonumber(upto) or last, last)
      if first > last then
        return fail(416, "InvalidRange")
      end
      ngx.status = 206
      header["Content-Range"] = "bytes " .. first .. "-" .. last .. "/" .. size
    end
  end
  header["Content-Length"] = last - first + 1
  if ngx.req.get_method() == "HEAD" then
    return
  end
  send(size, string.format("%0" .. TAIL_BYTES .. "d", n), first, last)
end

local function counts()
  local counted = ngx.shared.counted
  for _, kind in ipairs({ "list", "get", "head", "other" }) do
    ngx.print(kind, "=", counted:get(kind) or 0, "\n")
  end
  counted:flush_all()
end

function server.serve()
  local path = ngx.var.uri
  if path == "/_counts" then
    return counts()
  end
  local name, key = path:match("^/([^/]+)/?(.*)$")
  local hosted = ngx.var.host:match("^(objects%-[^.]+)%.")
  if hosted then
    name, key = hosted, path:sub(2)
  end
  local bucket = name and open_bucket(name)
  local method = ngx.req.get_method()
  ngx.header["x-amz-bucket-region"] = "us-east-1"
  ngx.header["x-amz-request-id"] = "0000000000000000"
  local kind = "other"
  if bucket and key ~= "" then
    kind = method == "HEAD" and "head" or "get"
  elseif bucket and method == "GET" then
    kind = "list"
  end
  ngx.shared.counted:incr(kind, 1, 0)
  if not bucket then
    return fail(404, "NoSuchBucket")
  end
  if bucket.latency > 0 then
    ngx.sleep(bucket.latency)
  end
  if method ~= "GET" and method ~= "HEAD" then
    return fail(405, "MethodNotAllowed")
  end
  if key ~= "" then
    if ngx.var.arg_tagging then
      return ngx.print(XML .. "<Tagging><TagSet></TagSet></Tagging>")
    end
    return object(bucket, key)
  end
  if method == "HEAD" then
    return
  end
  local args = ngx.req.get_uri_args()
  if args.location then
    return ngx.print(XML .. "<LocationConstraint" .. NAMESPACE .. "></LocationConstraint>")
  end
  if args.versioning then
    return ngx.print(XML .. "<VersioningConfiguration" .. NAMESPACE .. "></VersioningConfiguration>")
  end
  return list(bucket, args)
end

return server
